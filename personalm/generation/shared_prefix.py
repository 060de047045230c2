"""Attention of many candidates to one prompt, each with a short text of its own.

The candidates of a prompt ask the same keys: kept once a prompt, they are read once for all of
them, as one matrix product. Scores of the prompt and of the own text meet before one softmax, so
the result is that of ordinary attention over a copied prompt, up to rounding. The method is that
of Hydragen (Juravsky et al. 2024, arXiv 2402.05099), with the scores joined instead of merged.

The function is registered with transformers by the name `shared_prefix`, so its model classes run
unchanged. Without a `SharedPrefix` it is torch's own attention. It knows no positions: models
whose attention has a window or a bias by distance must not be run by it (`can_share`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

SHARED_PREFIX = "shared_prefix"
"""Name of the attention, as transformers' `attn_implementation`."""

_UNKNOWN = ("sliding_window", "softcap", "s_aux", "position_bias")


@dataclass(slots=True, kw_only=True)
class _Layer:
    """Keys and values of one layer.

    Shapes: those of the prefixes (prompts, heads, positions, width), the own (rows, heads, room,
    width).
    """

    prefix_keys: Tensor
    prefix_values: Tensor
    own_keys: Tensor
    own_values: Tensor


class SharedPrefix:
    """The cache of a group: prefixes once a prompt, own tokens once a row.

    `owners` names the prompt of each row, in ascending order; `room` is the number of own tokens
    that a row may have. transformers sees a cache that takes one token a row and step.
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
        num_rows = len(owners)
        self._layers = [_make_layer(keys, values, num_rows, room) for keys, values in prefixes]
        self._mask = mask
        self._num_own = 0
        self._place(owners)

    def advance(self) -> None:
        """Make room for the next token of each row."""
        self._num_own += 1

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone; prefixes that no row asks any more leave when it pays."""
        owners = [self._owners[row] for row in rows]
        kept = torch.tensor(rows, device=self._mask.device)
        for layer in self._layers:
            layer.own_keys = _keep_rows(layer.own_keys, kept, self._num_own)
            layer.own_values = _keep_rows(layer.own_values, kept, self._num_own)
        live = sorted(set(owners))
        if 4 * len(live) <= 3 * len(self._mask):
            prompts = torch.tensor(live, device=self._mask.device)
            for layer in self._layers:
                layer.prefix_keys = layer.prefix_keys[prompts]
                layer.prefix_values = layer.prefix_values[prompts]
            self._mask = self._mask[prompts]
            owners = [live.index(owner) for owner in owners]
        self._place(owners)

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, **_rest: object
    ) -> tuple[Tensor, Tensor]:
        """Take the keys and values of one token a row; called by the model."""
        layer, step = self._layers[layer_idx], self._num_own - 1
        layer.own_keys[:, :, step] = keys[:, :, 0]
        layer.own_values[:, :, step] = values[:, :, 0]
        return keys, values

    def get_seq_length(self, _layer_idx: int = 0) -> int:
        """Return the number of positions before the present token, pads counted."""
        return self._mask.shape[1] + max(self._num_own - 1, 0)

    def attend(self, layer_idx: int, query: Tensor, scaling: float) -> Tensor:
        """Return what each row's token takes from its prompt and from its own text.

        Shapes: `query` (rows, query heads, 1, width); the result (rows, 1, query heads, width).
        """
        layer = self._layers[layer_idx]
        num_rows, _, _, width = query.shape
        num_heads = layer.own_keys.shape[1]
        rows = query.reshape(num_rows, num_heads, -1, width) * scaling
        own_keys = layer.own_keys[:, :, : self._num_own]
        own_values = layer.own_values[:, :, : self._num_own]
        to_prefix = self._spread(rows) @ layer.prefix_keys.transpose(-1, -2)
        to_own = self._spread(rows @ own_keys.transpose(-1, -2))
        scores = torch.cat([to_prefix.float() + self._bias, to_own.float()], dim=-1)
        shares = scores.softmax(-1).to(query.dtype)
        from_prefix = shares[..., : -self._num_own] @ layer.prefix_values
        from_own = self._collect(shares[..., -self._num_own :]) @ own_values
        return (self._collect(from_prefix) + from_own).reshape(num_rows, 1, -1, width)

    def _place(self, owners: Sequence[int]) -> None:
        """Give each row a slot in a grid of prompts times the most rows that one of them has."""
        self._owners = list(owners)
        ranks = [rank for _, rows in groupby(owners) for rank, _ in enumerate(rows)]
        num_prompts, self._depth = len(self._mask), max(ranks) + 1
        slots = [owner * self._depth + rank for owner, rank in zip(owners, ranks, strict=True)]
        self._is_full = len(slots) == num_prompts * self._depth
        self._slots = torch.tensor(slots, device=self._mask.device)
        bias = torch.zeros(self._mask.shape, device=self._mask.device)
        self._bias = bias.masked_fill(~self._mask, -torch.inf)[:, None, None]

    def _spread(self, rows: Tensor) -> Tensor:
        """Lay rows (rows, heads, group, n) out as (prompts, heads, depth * group, n)."""
        num_prompts = len(self._mask)
        grid = rows
        if not self._is_full:
            grid = rows.new_zeros(num_prompts * self._depth, *rows.shape[1:])
            grid[self._slots] = rows
        grid = grid.view(num_prompts, self._depth, *rows.shape[1:]).transpose(1, 2)
        return grid.reshape(num_prompts, rows.shape[1], -1, rows.shape[3])

    def _collect(self, grid: Tensor) -> Tensor:
        """Undo `_spread`: return (rows, heads, group, n)."""
        num_prompts, num_heads, _, size = grid.shape
        rows = grid.view(num_prompts, num_heads, self._depth, -1, size).transpose(1, 2)
        rows = rows.reshape(num_prompts * self._depth, num_heads, -1, size)
        return rows if self._is_full else rows[self._slots]


def attend(
    module: Any,  # noqa: ANN401 - every model has an attention class of its own
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    shared: SharedPrefix | None = None,
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


def _make_layer(keys: Tensor, values: Tensor, num_rows: int, room: int) -> _Layer:
    own = (num_rows, keys.shape[1], room, keys.shape[3])
    return _Layer(
        prefix_keys=keys,
        prefix_values=values,
        own_keys=keys.new_empty(own),
        own_values=values.new_empty(own),
    )


def _keep_rows(own: Tensor, rows: Tensor, num_own: int) -> Tensor:
    """Copy these rows, of each only what has been written."""
    kept = own.new_empty(len(rows), *own.shape[1:])
    kept[:, :, :num_own] = own[rows, :, :num_own]
    return kept


AttentionInterface.register(SHARED_PREFIX, attend)
AttentionMaskInterface.register(SHARED_PREFIX, sdpa_mask)
