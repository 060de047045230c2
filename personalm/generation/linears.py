"""Linear layers in the form in which this processor multiplies fastest.

A weight that never changes need not be laid out anew at each call: `pack` does it once, in its own
number format or in 8-bit integers. Packed layers take the place of torch's own in a network that is
otherwise as transformers made it. They only multiply: what is packed can be neither trained nor
saved.

An 8-bit layer has one scale for each output and one for each row of its input, so a row's result
does not depend on the rows beside it. What it costs in quality is the caller's to measure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Of the whole product; 8-bit integers make an error of about 0.013 of random numbers.
_MAX_ERROR = 0.05

# A GPU moves eight numbers at a time, and computes outputs in tiles.
_READ_AT_ONCE = 8
_OUTPUTS_AT_ONCE = 64

Packing = Literal["floating", "int8"]
"""Whether packed weights keep their number format, float32 or bfloat16."""

# The layout of a packed weight suits about this many rows, and serves any number.
_USUAL_ROWS = 64
# Activations are unsigned: signed ones are multiplied without the processor's own instruction.
_ZERO_POINT = 128
_LARGEST_WEIGHT = 127
# One less: in bfloat16 a scale may be rounded down, and the largest value must not wrap around.
_LARGEST_INPUT = 126


class PackedLinear(nn.Module):
    """A linear layer whose weight lies in the blocks that oneDNN multiplies."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take a weight, (outputs, inputs), and a bias, both float32 or both bfloat16."""
        super().__init__()
        # The operators that torch's own compiler emits; they have no public names.
        reorder = torch.ops.mkldnn._reorder_linear_weight  # noqa: SLF001
        self._multiply = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
        self._packed = reorder(weight.contiguous(), _USUAL_ROWS)
        self._bias = None if bias is None else bias.clone()

    def forward(self, rows: Tensor) -> Tensor:
        """Return the product, (..., outputs), of rows (..., inputs)."""
        product: Tensor = self._multiply(rows, self._packed, self._bias, "none", [], "")
        return product


class Int8Linear(nn.Module):
    """A linear layer whose weight is 8-bit integers, and whose rows become so as they come.

    It needs instructions that multiply unsigned by signed bytes (AVX-512 VNNI) to be fast.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take a weight, (outputs, inputs), and a bias."""
        super().__init__()
        whole = weight.float()
        scales = (whole.abs().amax(1) / _LARGEST_WEIGHT).clamp(min=torch.finfo(torch.float32).tiny)
        integers = (whole / scales.unsqueeze(1)).round().to(torch.int8)
        shape = [_USUAL_ROWS, weight.shape[1]]
        self._packed = torch.ops.onednn.qlinear_prepack(integers.contiguous(), shape)
        self._scales = scales
        self._zero_points = torch.zeros(len(scales), dtype=torch.int8)
        self._bias = None if bias is None else bias.clone()

    def forward(self, rows: Tensor) -> Tensor:
        """Return the product, (..., outputs), of rows (..., inputs), in the rows' dtype."""
        # The scale is rounded to the rows' dtype before it is used: one and the same both times.
        scales = rows.abs().amax(-1, keepdim=True).div_(_LARGEST_INPUT)
        scales = scales.clamp_(min=torch.finfo(rows.dtype).tiny)
        integers = rows.float().div_(scales.float()).round_().add_(_ZERO_POINT).to(torch.uint8)
        product = self.multiply(integers, rows.dtype)
        if self._bias is None:
            return product.mul_(scales)
        return torch.addcmul(self._bias, product, scales)

    def multiply(self, integers: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the bare product of rows of unsigned integers, 128 being zero."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            integers,
            *(1.0, _ZERO_POINT),
            *(self._packed, self._scales, self._zero_points),
            None,
            *(1.0, 0, dtype),
            *("none", [], ""),
        )
        return product


class PaddedLinear(nn.Module):
    """A linear layer whose number of outputs is filled up to what a GPU multiplies fast.

    GPT-2's vocabulary is an odd number, and such a product runs by a kernel of old.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take a weight, (outputs, inputs), and a bias."""
        super().__init__()
        self._num_outputs = len(weight)
        more = -len(weight) % _OUTPUTS_AT_ONCE
        self._weight = nn.functional.pad(weight, (0, 0, 0, more)).contiguous()
        self._bias = None if bias is None else nn.functional.pad(bias, (0, more))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the product, (..., outputs), of rows (..., inputs)."""
        return nn.functional.linear(rows, self._weight, self._bias)[..., : self._num_outputs]


_MAKERS: dict[Packing, type[PackedLinear | Int8Linear]] = {
    "floating": PackedLinear,
    "int8": Int8Linear,
}

Replaced = list[tuple[nn.Module, str, nn.Module]]
"""Layers that were replaced: the module they stood in, by which name, and the layer."""


def can_pack(packing: Packing, dtype: torch.dtype) -> bool:
    """Tell whether this build of torch, on this processor, multiplies so packed layers rightly."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # it has none
        return False
    numbers = torch.linspace(-1.0, 1.0, 64 * 48)
    weight = numbers.sin().view(48, 64).to(dtype)
    rows = (7 * numbers).cos().view(48, 64).to(dtype)
    expected = rows.float() @ weight.float().T
    with torch.inference_mode():
        try:
            product = _MAKERS[packing](weight, None)(rows).float()
        except (RuntimeError, NotImplementedError, AttributeError):
            return False
    return bool((product - expected).norm() <= _MAX_ERROR * expected.norm())


def pack(network: nn.Module, packing: Packing) -> Replaced:
    """Replace the linear layers of a network; return what was replaced, for `unpack`.

    An output layer that shares its weight with the embeddings gets a packed copy.
    """
    make = _MAKERS[packing]
    replaced: Replaced = []
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) in {nn.Linear, Conv1D}:
                setattr(module, name, _pack_layer(layer, make))
                replaced.append((module, name, layer))
    return replaced


def pad_output(network: PreTrainedModel) -> None:
    """Fill the output layer of a network up, where its number of outputs is an odd one."""
    output: Any = network.get_output_embeddings()  # type: ignore[no-untyped-call]  # it has none
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if layer is output and type(layer) is nn.Linear and len(layer.weight) % _READ_AT_ONCE:
                bias = None if layer.bias is None else layer.bias.detach()
                setattr(module, name, PaddedLinear(layer.weight.detach(), bias))


def unpack(replaced: Replaced) -> None:
    """Put the layers back."""
    for module, name, layer in replaced:
        setattr(module, name, layer)


def _pack_layer(layer: Any, make: type[PackedLinear | Int8Linear]) -> nn.Module:  # noqa: ANN401 - one of two classes
    weight = layer.weight.detach()
    # transformers' own class keeps (inputs, outputs).
    bias = None if layer.bias is None else layer.bias.detach()
    return make(weight.T if isinstance(layer, Conv1D) else weight, bias)
