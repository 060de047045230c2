"""Attention of many candidates to one prompt, each with a short text of its own.

The candidates of a prompt ask the same keys: kept once a prompt, they are read once for all of
them, as one matrix product. The scores of the prompt and of the own text share one softmax, so the
result is that of ordinary attention over a copied prompt, up to rounding. The method is that of
Hydragen (Juravsky et al. 2024, arXiv 2402.05099), with the scores joined instead of merged.

The function is registered with transformers by the name `shared_prefix`, so its model classes run
unchanged. Without a `SharedPrefix` it is torch's own attention. It knows no positions: models
whose attention has a window or a bias by distance must not be run by it (`can_share`).
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

SHARED_PREFIX = "shared_prefix"
"""Name of the attention, as transformers' `attn_implementation`."""

# More steps at once waste columns that nobody has written; fewer copy the tensors more often.
_STEPS_AT_ONCE = 16

_UNKNOWN = ("sliding_window", "softcap", "s_aux", "position_bias")


class SharedPrefix:
    """The cache of a group: each prompt's keys and values once, then those of its rows.

    `owners` names the prompt of each row, in ascending order; `room` is the number of own tokens
    that a row may have. transformers sees a cache that takes one token a row and step.

    Each layer has one tensor of keys and one of values, (prompts, heads, columns, width). A
    prompt's columns are its positions, then for each step one a row: the rows of a prompt ask all
    of them in one matrix product, and a bias hides what is not theirs. Columns are added some
    steps at a time, so that the tensors are dense: torch would copy a part of one at each product.
    """

    is_compileable = False

    def __init__(
        self,
        prefixes: Sequence[tuple[Tensor, Tensor]],
        mask: Tensor,
        owners: Sequence[int],
        *,
        room: int,
    ) -> None:
        """Take keys and values of each layer, and which positions count, (prompts, positions)."""
        self._keys = [keys for keys, _ in prefixes]
        self._values = [values for _, values in prefixes]
        self._mask = mask
        self._room = room
        self._num_own = 0
        self._num_steps = 0
        self._owners: list[int]
        self._slots: Tensor
        self._depth: int
        self._sums = torch.zeros(len(owners), device=mask.device)
        self._seat(owners)

    def advance(self) -> None:
        """Make room for the next token of each row, and let each row see its own."""
        if self._num_own == self._num_steps:
            self._grow(min(_STEPS_AT_ONCE, max(self._room - self._num_steps, 1)))
        start = self._prefix_width + self._num_own * self._depth
        self._bias[..., start : start + self._depth].masked_fill_(self._is_own, 0.0)
        self._num_own += 1

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone; what no row asks any more leaves when it pays."""
        owners = [self._owners[row] for row in rows]
        kept = torch.tensor(rows, device=self._mask.device)
        self._slots = self._slots[kept]
        self._sums = self._sums[kept]
        self._owners = owners
        self._is_full = False
        live = sorted(set(owners))
        size = len(live) * max(Counter(owners).values())
        if 4 * size <= 3 * len(self._mask) * self._depth:
            self._compact(live, owners)

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, **_rest: object
    ) -> tuple[Tensor, Tensor]:
        """Take the keys and values of one token a row; called by the model.

        Numbers that are not finite would reach the other rows of the prompt through columns that
        are hidden from them. They are kept out, and noted for `spoil`.
        """
        self._sums += keys.float().sum((1, 2, 3)) + values.float().sum((1, 2, 3))
        start = self._prefix_width + (self._num_own - 1) * self._depth
        columns = slice(start, start + self._depth)
        self._keys[layer_idx][:, :, columns] = self._spread(keys.nan_to_num(0.0, 0.0, 0.0))
        self._values[layer_idx][:, :, columns] = self._spread(values.nan_to_num(0.0, 0.0, 0.0))
        return keys, values

    def spoil(self, logits: Tensor) -> Tensor:
        """Mark the logits, (rows, vocabulary), of rows that have met what is not finite.

        Their first number is none from there on. Every step marks, for to look would be to wait.
        """
        logits[:, 0] += self._sums * 0.0
        return logits

    def get_seq_length(self, _layer_idx: int = 0) -> int:
        """Return the number of positions before the present token, pads counted."""
        return self._prefix_width + max(self._num_own - 1, 0)

    def attend(self, layer_idx: int, query: Tensor, scaling: float) -> Tensor:
        """Return what each row's token takes from its prompt and from its own text.

        Shapes: `query` (rows, query heads, 1, width); the result (rows, 1, query heads, width).
        """
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        grid = self._spread(group_queries(query, keys) * scaling)
        mixed = self._collect(mix(grid, keys, values, self._bias))
        return mixed.reshape(len(query), 1, query.shape[1], query.shape[3])

    @property
    def _prefix_width(self) -> int:
        return self._mask.shape[1]

    def _seat(self, owners: Sequence[int]) -> None:
        """Give each row a slot in a grid of prompts times the most rows that one of them has."""
        self._owners = list(owners)
        ranks = ranks_of(owners)
        num_prompts, self._depth = len(self._mask), max(ranks) + 1
        slots = [owner * self._depth + rank for owner, rank in zip(owners, ranks, strict=True)]
        device, dtype = self._mask.device, self._keys[0].dtype
        self._slots = torch.tensor(slots, device=device)
        self._is_full = len(slots) == num_prompts * self._depth
        # To be read as (prompts, heads, row, query heads of a head, column).
        self._is_own = torch.eye(self._depth, dtype=torch.bool, device=device)[:, None]
        bias = torch.zeros(self._mask.shape, device=device, dtype=dtype)
        bias = bias.masked_fill(~self._mask, -torch.inf)[:, None, None, None]
        self._bias = bias.expand(-1, -1, self._depth, -1, -1).contiguous()

    def _grow(self, num_steps: int) -> None:
        """Add the columns of some steps, hidden and zero, to every layer."""
        more = num_steps * self._depth
        self._keys = [pad(keys, (0, 0, 0, more)) for keys in self._keys]
        self._values = [pad(values, (0, 0, 0, more)) for values in self._values]
        self._bias = pad(self._bias, (0, more), value=-torch.inf)
        self._num_steps += num_steps

    def _compact(self, live: Sequence[int], owners: Sequence[int]) -> None:
        """Leave out prompts without rows, positions that are pads for all, and empty slots."""
        prompts = torch.tensor(live, device=self._mask.device)
        places = {owner: place for place, owner in enumerate(live)}
        seats = [places[owner] for owner in owners]
        old_width, old_depth, num_own = self._prefix_width, self._depth, self._num_own
        ranks = (self._slots % old_depth).tolist()
        self._mask = self._mask[prompts]
        self._mask = self._mask[:, : int(self._mask.any(0).nonzero().max()) + 1]
        depth = max(Counter(seats).values())
        # An empty slot takes over what some other row wrote: nobody will read it.
        sources = torch.zeros(len(live), depth, dtype=torch.int64)
        for seat, new, old in zip(seats, ranks_of(seats), ranks, strict=True):
            sources[seat, new] = old
        sources = sources.to(prompts.device)

        def pick(whole: Tensor) -> Tensor:
            kept = whole[prompts]
            own = kept[:, :, old_width : old_width + num_own * old_depth]
            own = own.reshape(*own.shape[:2], num_own, old_depth, own.shape[3])
            index = sources[:, None, None, :, None].expand(-1, *own.shape[1:3], -1, own.shape[4])
            return torch.cat(
                [kept[:, :, : self._prefix_width], own.gather(3, index).flatten(2, 3)], dim=2
            )

        self._keys = [pick(keys) for keys in self._keys]
        self._values = [pick(values) for values in self._values]
        self._seat(seats)
        self._num_steps = num_own
        hidden = torch.full_like(self._is_own, -torch.inf, dtype=self._bias.dtype)
        own = hidden.masked_fill(self._is_own, 0.0).repeat(1, 1, num_own)
        own = own.expand(len(live), 1, -1, -1, -1)
        self._bias = torch.cat([self._bias, own], dim=-1)

    def _spread(self, rows: Tensor) -> Tensor:
        """Lay rows (rows, heads, group, n) out as (prompts, heads, depth * group, n)."""
        num_prompts = len(self._mask)
        grid = rows
        if not self._is_full:
            grid = rows.new_zeros(num_prompts * self._depth, *rows.shape[1:])
            grid[self._slots] = rows
        return lay_out(grid, self._depth)

    def _collect(self, grid: Tensor) -> Tensor:
        """Undo `_spread`: return (rows, heads, group, n)."""
        rows = collect(grid, self._depth)
        return rows if self._is_full else rows[self._slots]


def group_queries(query: Tensor, keys: Tensor) -> Tensor:
    """Return queries, (rows, query heads, 1, width), by the head of keys that they ask.

    The result is (rows, heads, query heads of a head, width).
    """
    return query.reshape(len(query), keys.shape[1], -1, query.shape[3])


def lay_out(rows: Tensor, depth: int) -> Tensor:
    """Lay rows (prompts * depth, heads, group, n) out as (prompts, heads, depth * group, n)."""
    grid = rows.unflatten(0, (-1, depth)).transpose(1, 2)  # type: ignore[no-untyped-call]  # it has none
    return grid.reshape(len(grid), rows.shape[1], -1, rows.shape[3])


def collect(grid: Tensor, depth: int) -> Tensor:
    """Undo `lay_out`."""
    num_prompts, num_heads, _, size = grid.shape
    rows = grid.view(num_prompts, num_heads, depth, -1, size).transpose(1, 2)
    return rows.reshape(num_prompts * depth, num_heads, -1, size)


def mix(grid: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attend from all rows of a prompt to all of its columns, where the bias lets them.

    Shapes: `grid` (prompts, heads, depth * group, width), as the result; keys and values
    (prompts, heads, columns, width); `bias` (prompts, 1, depth, 1, columns).
    """
    scores = grid @ keys.transpose(-1, -2)
    seen = scores.view(*keys.shape[:2], bias.shape[2], -1, keys.shape[2])
    seen += bias
    return scores.softmax(-1) @ values


class Asked(Protocol):
    """What keeps the keys and values that a row's token attends to."""

    def attend(self, layer_idx: int, query: Tensor, scaling: float) -> Tensor:
        """Return what each row takes, (rows, 1, query heads, width)."""
        ...


def attend(
    module: Any,  # noqa: ANN401 - every model has an attention class of its own
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    shared: Asked | None = None,
    **rest: Any,  # noqa: ANN401 - whatever a model passes on to its attention
) -> tuple[Tensor, None]:
    """Attend as transformers asks for it; `shared` comes from the call of the model."""
    if shared is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **rest
        )
    unknown = [name for name in _UNKNOWN if rest.get(name) is not None]
    if unknown:
        raise NotImplementedError(f"shared prefixes know no {unknown[0]}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return shared.attend(module.layer_idx, query, scale), None


def can_share(network: PreTrainedModel) -> bool:
    """Tell whether a model's attention is one that `attend` knows."""
    config = network.config
    windows = getattr(config, "use_sliding_window", True) and getattr(
        config, "sliding_window", None
    )
    kinds = set(getattr(config, "layer_types", None) or ())
    return (
        network._supports_attention_backend  # noqa: SLF001 - transformers has no public name for it
        and not windows
        and kinds <= {"full_attention"}
        and not getattr(config, "attn_logit_softcapping", None)
        and not getattr(config, "reorder_and_upcast_attn", False)
    )


def ranks_of(owners: Sequence[int]) -> list[int]:
    """Count the rows of each prompt from 0."""
    return [rank for _, rows in groupby(owners) for rank, _ in enumerate(rows)]


AttentionInterface.register(SHARED_PREFIX, attend)
AttentionMaskInterface.register(SHARED_PREFIX, sdpa_mask)
