"""Packed and padded layers multiply as torch's own do, to the precision that they promise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from personalm.generation.linears import (
    Int8Linear,
    PackedLinear,
    Packing,
    PaddedLinear,
    can_pack,
    pack,
    pad_output,
    unpack,
)

FORMATS = [(torch.float32, 1e-4, 1e-5), (torch.bfloat16, 0.1, 0.02)]
"""Number formats, and how near to the plain product a packed one is: absolute, relative."""


def needs(packing: Packing, dtype: torch.dtype) -> pytest.MarkDecorator:
    """Skip where this processor cannot do it; what it can do is tested, whatever else it lacks."""
    return pytest.mark.skipif(
        not can_pack(packing, dtype), reason=f"no packed products here: {packing}, {dtype}"
    )


needs_integers = needs("int8", torch.bfloat16)


def numbers(*shape: int, seed: int) -> torch.Tensor:
    """Return normal numbers in bfloat16."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def error(product: torch.Tensor, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the error of each row's product, as a share of it."""
    exact = rows.float() @ weight.float().T
    return (product.float() - exact).norm(dim=-1) / exact.norm(dim=-1)


@needs_integers
@settings(max_examples=40, deadline=None)
@given(
    num_rows=st.integers(1, 150),
    inputs=st.sampled_from([64, 576, 768]),
    outputs=st.sampled_from([32, 192, 577]),
    scale=st.floats(1e-4, 1e4),
    seed=st.integers(0, 2**31),
)
def test_an_8_bit_product_is_near_the_exact_one_in_every_row(
    num_rows: int, inputs: int, outputs: int, scale: float, seed: int
) -> None:
    """Whatever the scale, and whichever sign the largest number of a row has."""
    weight = numbers(outputs, inputs, seed=seed)
    rows = numbers(num_rows, inputs, seed=seed + 1) * scale
    with torch.inference_mode():
        product = Int8Linear(weight, None)(rows)

    assert error(product, rows, weight).max() < 0.04


@pytest.mark.parametrize(
    ("dtype", "atol", "rtol"),
    [pytest.param(*each, marks=needs("floating", each[0])) for each in FORMATS],
)
@settings(max_examples=20, deadline=None)
@given(num_rows=st.integers(1, 150), seed=st.integers(0, 2**31))
def test_a_packed_product_is_the_plain_one(
    num_rows: int, seed: int, dtype: torch.dtype, atol: float, rtol: float
) -> None:
    """Up to the rounding of the number format."""
    weight, bias = numbers(96, 128, seed=seed).to(dtype), numbers(96, seed=seed + 1).to(dtype)
    rows = numbers(num_rows, 128, seed=seed + 2).to(dtype)
    with torch.inference_mode():
        product = PackedLinear(weight, bias)(rows)

    assert product.dtype == dtype
    torch.testing.assert_close(
        product, nn.functional.linear(rows, weight, bias), atol=atol, rtol=rtol
    )


@needs_integers
def test_an_8_bit_row_is_the_same_in_any_company() -> None:
    """Its scale is its own."""
    layer = Int8Linear(numbers(96, 128, seed=1), numbers(96, seed=2))
    rows = numbers(64, 128, seed=3)
    rows[10] *= 1_000
    with torch.inference_mode():
        together, alone = layer(rows), layer(rows[:1])

    assert torch.equal(together[:1], alone)


@needs_integers
def test_a_row_of_zeros_gives_the_bias() -> None:
    """And no row makes another one infinite."""
    bias = numbers(96, seed=2)
    with torch.inference_mode():
        product = Int8Linear(numbers(96, 128, seed=1), bias)(torch.zeros(2, 128).bfloat16())

    assert torch.equal(product, bias.expand(2, -1))


@pytest.mark.parametrize(
    ("packing", "dtype"),
    [
        pytest.param(*each, marks=needs(*each))
        for each in (
            ("floating", torch.float32),
            ("floating", torch.bfloat16),
            ("int8", torch.bfloat16),
        )
    ],
)
def test_every_linear_layer_is_packed_and_comes_back(packing: Packing, dtype: torch.dtype) -> None:
    """Those that keep (inputs, outputs) too; embeddings stay as they are."""
    network = nn.Sequential(nn.Embedding(8, 64), nn.Linear(64, 48), nn.Sequential(Conv1D(32, 48)))  # type: ignore[no-untyped-call]  # it has none
    network = network.to(dtype)
    ids = torch.arange(8)
    with torch.inference_mode():
        before = network(ids)
        replaced = pack(network, packing)
        packed = network(ids)
        num_plain = sum(isinstance(m, (nn.Linear, Conv1D)) for m in network.modules())
        unpack(replaced)

        assert len(replaced) == 2
        assert num_plain == 0
        assert (packed - before).float().norm() < 0.05 * before.float().norm()
        assert torch.equal(network(ids), before)


@pytest.mark.parametrize("has_bias", [True, False])
def test_an_output_layer_is_filled_up_and_says_the_same(*, has_bias: bool) -> None:
    """Only its own outputs come out; a layer of an even size stays as it is."""
    weight, rows = numbers(577, 64, seed=1).float(), numbers(5, 64, seed=2).float()
    bias = numbers(577, seed=3).float() if has_bias else None

    product = PaddedLinear(weight, bias)(rows)

    assert product.shape == (5, 577)
    torch.testing.assert_close(product, nn.functional.linear(rows, weight, bias))


@pytest.mark.parametrize(("vocabulary", "is_filled"), [(301, True), (304, False)])
def test_a_network_says_the_same_with_its_output_layer_filled_up(
    *, vocabulary: int, is_filled: bool
) -> None:
    """Embeddings that share the weight are left alone."""
    torch.manual_seed(0)
    network = GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, n_embd=64, n_layer=1, n_head=2))
    network.train(mode=False)
    ids = torch.tensor([[3, 300, 7]])
    with torch.inference_mode():
        before = network(input_ids=ids).logits
        pad_output(network)
        after = network(input_ids=ids).logits

    assert isinstance(network.lm_head, PaddedLinear) == is_filled
    assert network.transformer.wte.weight.shape == (vocabulary, 64)
    torch.testing.assert_close(after, before)
