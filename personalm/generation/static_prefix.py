"""The cache of `shared_prefix` in tensors that never move, for steps that are recorded once.

It keeps what `SharedPrefix` keeps, in the same columns, but all of its shapes are fixed: so many
prompts, rows a prompt, positions and steps. Which step it is stands in a tensor. What a group does
not fill is hidden and finite; what its empty slots compute is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from personalm.generation.shared_prefix import collect, group_queries, lay_out, mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

STEPS_AT_ONCE = 16
"""A recording sees the columns of so many steps, of twice as many, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a cache: prompts, rows of each, positions of a prompt, steps of a row."""

    num_prompts: int
    depth: int
    width: int
    room: int

    @property
    def num_rows(self) -> int:
        """Slots of rows; row r of prompt p has slot p * depth + r."""
        return self.num_prompts * self.depth

    @property
    def num_columns(self) -> int:
        """Columns of a prompt: its positions, then for each step one a row."""
        return self.width + self.room * self.depth

    @property
    def size(self) -> int:
        """Columns of all prompts: what the cache needs of its memory."""
        return self.num_prompts * self.num_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a cache holds, without its padding: to be put into one of another shape.

    Shapes: `prefixes` and `own` are keys and values of each layer, (prompts, heads, positions,
    width) and (prompts, heads, steps, rows, width); `mask` (prompts, positions); `sums`, which are
    finite where all that a row has met is, (prompts, rows).
    """

    prefixes: list[tuple[Tensor, Tensor]]
    mask: Tensor
    own: list[tuple[Tensor, Tensor]]
    sums: Tensor

    @classmethod
    def of_prompts(cls, prefixes: list[tuple[Tensor, Tensor]], mask: Tensor) -> Contents:
        """Return what a group holds before its rows have said anything."""
        nothing = [(k[:, :, :0].unsqueeze(3), v[:, :, :0].unsqueeze(3)) for k, v in prefixes]
        sums = torch.zeros((len(mask), 1), device=mask.device)
        return cls(prefixes=prefixes, mask=mask, own=nothing, sums=sums)


class StaticPrefix:
    """Keys and values of a group, in given memory; transformers sees one token a row and step."""

    is_compileable = False

    def __init__(self, shape: Shape, memory: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take the memory of each layer's keys and values, (columns, heads, width) or more."""
        self.shape = shape
        self.num_visible_steps = STEPS_AT_ONCE
        self._keys = [_view(keys, shape) for keys, _ in memory]
        self._values = [_view(values, shape) for _, values in memory]
        device, dtype = memory[0][0].device, memory[0][0].dtype
        self._ranks = torch.arange(shape.depth, device=device)
        self._columns = self._ranks + shape.width
        self._sums = torch.zeros((shape.num_prompts, shape.depth), device=device)
        eye = torch.eye(shape.depth, dtype=torch.bool, device=device)
        hidden = torch.full(eye.shape, -torch.inf, dtype=dtype, device=device)
        # To be read as (prompts, heads, row, query heads of a head, column).
        self._own = hidden.masked_fill(eye, 0.0)[None, None, :, None]
        self._own = self._own.expand(shape.num_prompts, -1, -1, -1, -1).contiguous()
        self._bias = torch.zeros(
            (shape.num_prompts, 1, shape.depth, 1, shape.num_columns), dtype=dtype, device=device
        )
        self._visible = self._bias

    def fill(self, contents: Contents) -> None:
        """Take the contents of a group."""
        shape = self.shape
        num_prompts, width = contents.mask.shape
        num_steps, depth = contents.own[0][0].shape[2:4]
        for part, held in enumerate((self._keys, self._values)):
            for whole, prefix, own in zip(held, contents.prefixes, contents.own, strict=True):
                # Whatever stood there could be infinite, and infinity times nothing is no number.
                whole.zero_()
                whole[:num_prompts, :, :width] = prefix[part]
                steps = self._steps_of(whole)
                steps[:num_prompts, :, :num_steps, :depth] = own[part]
        self._bias.fill_(-torch.inf)
        self._bias[:num_prompts, 0, :, 0, :width] = (
            torch.zeros_like(contents.mask, dtype=self._bias.dtype)
            .masked_fill(~contents.mask, -torch.inf)
            .unsqueeze(1)
        )
        # A slot without a prompt sees one column, lest it should see none.
        self._bias[num_prompts:, ..., 0] = 0.0
        own_bias = self._bias[..., shape.width : shape.width + num_steps * shape.depth]
        own_bias.copy_(self._own.repeat(1, 1, 1, 1, num_steps))
        self._columns.copy_(self._ranks + shape.width + num_steps * shape.depth)
        self._sums.zero_()
        self._sums[:num_prompts, : contents.sums.shape[1]] = contents.sums

    def pick(self, prompts: Tensor, ranks: Tensor, num_steps: int, mask: Tensor) -> Contents:
        """Return what some prompts and some rows of each hold, `ranks` being (prompts, rows)."""
        width = mask.shape[1]
        index = ranks[:, None, None, :, None]

        def split(whole: Tensor) -> tuple[Tensor, Tensor]:
            kept = whole[prompts]
            own = self._steps_of(kept)[:, :, :num_steps]
            places = index.expand(-1, *own.shape[1:3], -1, own.shape[4])
            return kept[:, :, :width].clone(), own.gather(3, places)

        pairs = [
            (split(keys), split(values))
            for keys, values in zip(self._keys, self._values, strict=True)
        ]
        return Contents(
            prefixes=[(keys[0], values[0]) for keys, values in pairs],
            own=[(keys[1], values[1]) for keys, values in pairs],
            mask=mask,
            sums=self._sums[prompts].gather(1, ranks),
        )

    def advance(self) -> None:
        """Let each row see its next column; `leave` ends the step."""
        self._bias.index_copy_(-1, self._columns, self._own)
        visible = self.shape.width + self.num_visible_steps * self.shape.depth
        self._visible = self._bias[..., :visible]

    def leave(self) -> None:
        """Go on to the columns of the next step."""
        self._columns += self.shape.depth

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, **_rest: object
    ) -> tuple[Tensor, Tensor]:
        """Take the keys and values of one token a row, as `SharedPrefix.update` does."""
        sums = keys.float().sum((1, 2, 3)) + values.float().sum((1, 2, 3))
        self._sums += sums.view_as(self._sums)
        for whole, new in ((self._keys, keys), (self._values, values)):
            finite = lay_out(new.nan_to_num(0.0, 0.0, 0.0), self.shape.depth)
            whole[layer_idx].index_copy_(2, self._columns, finite)
        return keys, values

    def spoil(self, logits: Tensor) -> Tensor:
        """Mark the logits of rows that have met what is not finite, as `SharedPrefix.spoil`."""
        logits[:, 0] += self._sums.flatten() * 0.0
        return logits

    def get_seq_length(self, _layer_idx: int = 0) -> int:
        """Return a number of positions; nobody asks for more than that there are some."""
        return self.shape.width

    def attend(self, layer_idx: int, query: Tensor, scaling: float) -> Tensor:
        """Return what each row's token takes from its prompt and own text.

        Shapes: `query` (rows, query heads, 1, width); the result (rows, 1, query heads, width).
        """
        columns = self._visible.shape[-1]
        keys = self._keys[layer_idx][:, :, :columns]
        values = self._values[layer_idx][:, :, :columns]
        grid = lay_out(group_queries(query, keys) * scaling, self.shape.depth)
        mixed = collect(mix(grid, keys, values, self._visible), self.shape.depth)
        return mixed.reshape(len(query), 1, query.shape[1], query.shape[3])

    def _steps_of(self, whole: Tensor) -> Tensor:
        """Return the own columns of keys or values as (prompts, heads, steps, rows, width)."""
        num_prompts, num_heads, _, width = whole.shape
        own = whole[:, :, self.shape.width :]
        return own.view(num_prompts, num_heads, self.shape.room, self.shape.depth, width)


def _view(memory: Tensor, shape: Shape) -> Tensor:
    """Return the first part of a layer's memory as (prompts, heads, columns, width)."""
    part = memory[: shape.size]
    return part.view(shape.num_prompts, memory.shape[1], shape.num_columns, memory.shape[2])
