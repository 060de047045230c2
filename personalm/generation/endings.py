"""How likely a model finds each of many endings of one beginning, which is read once.

It is `personalm.generation.likelihood` for the case that a thousand pairs share their prompt.
Knows token ids alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from personalm.generation.prefill import fill_up
from personalm.generation.sampler import logprobs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel

_MAX_BATCH_TOKENS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingScore:
    """Natural logarithm of an ending's probability, and whether greedy drawing would write it."""

    logprob: float
    is_greedy: bool


@torch.inference_mode()
def score_endings(
    model: LoadedModel, beginning: Sequence[int], endings: Sequence[Sequence[int]]
) -> list[EndingScore]:
    """Score endings of one beginning; neither is empty."""
    cache = DynamicCache()
    ids, mask = fill_up(model, [tuple(beginning)])
    first = model.network(
        input_ids=ids, attention_mask=mask, cache=cache, use_cache=True, logits_to_keep=1
    ).logits
    scores: list[EndingScore] = []
    size = max(1, _MAX_BATCH_TOKENS // max(map(len, endings)))
    for start in range(0, len(endings), size):
        some = endings[start : start + size]
        scores += _score(model, cache, first, len(beginning), some)
    return scores


def _score(
    model: LoadedModel,
    cache: DynamicCache,
    first: Tensor,
    num_before: int,
    endings: Sequence[Sequence[int]],
) -> list[EndingScore]:
    """Score some endings; pads stand on their right, so that all of them start together."""
    num_rows, width = len(endings), max(map(len, endings))
    filled = [[*ending, *[model.pad_id] * (width - len(ending))] for ending in endings]
    ids = torch.tensor(filled, device=model.device)
    real = torch.tensor([[n < len(e) for n in range(width)] for e in endings], device=model.device)
    before = real.new_ones(num_rows, num_before)
    own = DynamicCache()
    layers: list[Any] = cache.layers
    for index, layer in enumerate(layers):
        own.update(
            layer.keys.expand(num_rows, -1, -1, -1),
            layer.values.expand(num_rows, -1, -1, -1),
            index,
        )
    logits = first.expand(num_rows, -1, -1)
    if width > 1:
        places = torch.arange(num_before, num_before + width - 1, device=model.device)
        rest = model.network(
            input_ids=ids[:, :-1],
            attention_mask=torch.cat([before, real[:, :-1]], dim=-1).long(),
            position_ids=places.expand(num_rows, -1),
            cache=own,
            use_cache=True,
        ).logits
        logits = torch.cat([logits, rest], dim=1)
    totals = logprobs_of(logits, ids).masked_fill(~real, 0.0).double().sum(-1)
    greedy = ((logits.argmax(-1) == ids) | ~real).all(-1)
    return [
        EndingScore(logprob=total, is_greedy=is_greedy)
        for total, is_greedy in zip(totals.tolist(), greedy.tolist(), strict=True)
    ]
