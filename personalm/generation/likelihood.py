"""How likely a model finds a text that comes after a prompt.

Knows token ids alone: it draws nothing, and what prompt and target mean is the caller's business.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import torch

from personalm.errors import EngineError
from personalm.generation.prefill import fill_up
from personalm.generation.sampler import logprobs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from personalm.generation.loading import LoadedModel

Pair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt, and of the target that follows it."""

# Their logits, in float32, are 400 MB for a vocabulary of 50,000.
_MAX_BATCH_TOKENS = 2_048


def score(
    model: LoadedModel, pairs: Sequence[Pair], *, max_batch_tokens: int = _MAX_BATCH_TOKENS
) -> list[float]:
    """Return, for each pair, the natural logarithm of the target's probability after the prompt.

    It is the sum over the target's tokens, 0.0 for an empty target. Raises as `score_tokens` does.
    """
    return [math.fsum(each) for each in score_tokens(model, pairs, max_batch_tokens)]


def score_tokens(
    model: LoadedModel, pairs: Sequence[Pair], max_batch_tokens: int = _MAX_BATCH_TOKENS
) -> list[list[float]]:
    """Return, for each pair, the natural logarithm of the probability of each of its target tokens.

    An empty prompt stands for the model's own start of a text. Pairs of like length are read
    together; which ones are does not matter, up to rounding. Raises EngineError for a pair that
    the model cannot read.
    """
    whole = [(prompt or model.tokenizer.prefix_ids) + target for prompt, target in pairs]
    num_targets = [len(target) for _, target in pairs]
    for ids, num_target in zip(whole, num_targets, strict=True):
        _check(model, ids, num_target)
    scores: list[list[float]] = [[] for _ in pairs]
    asked = [place for place, num_target in enumerate(num_targets) if num_target]
    for places in _plan(asked, [len(ids) for ids in whole], max_batch_tokens):
        batch = _read(model, [whole[i] for i in places], [num_targets[i] for i in places])
        for place, logprobs in zip(places, batch, strict=True):
            scores[place] = logprobs
    return scores


def _check(model: LoadedModel, ids: tuple[int, ...], num_target: int) -> None:
    """Refuse what would read outside of the model: some accelerators never recover from that."""
    if num_target and num_target == len(ids):
        raise EngineError("the prompt is empty and the model has no start token")
    if len(ids) > model.card.max_positions:
        raise EngineError(
            f"{len(ids)} tokens of prompt and target do not fit "
            f"{model.card.max_positions} positions"
        )
    if ids and (min(ids) < 0 or max(ids) >= model.num_embeddings):
        raise EngineError(f"a token id is outside of the model's {model.num_embeddings} embeddings")


def _plan(places: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut places into batches of like length, each of at most so many tokens, pads counted."""
    batch: list[int] = []
    for place in sorted(places, key=lambda place: (lengths[place], place)):
        if batch and (len(batch) + 1) * lengths[place] > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@torch.inference_mode()
def _read(
    model: LoadedModel, whole: Sequence[tuple[int, ...]], num_targets: Sequence[int]
) -> list[list[float]]:
    """Return the scores of each row's target; a row ends with it."""
    longest = max(num_targets)
    # Pads stand on the left, so that all targets end together; nothing is asked of a last token.
    ids, mask = fill_up(model, [row[:-1] for row in whole])
    targets, _ = fill_up(model, [row[-num:] for row, num in zip(whole, num_targets, strict=True)])
    logits = model.network(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=longest,
    ).logits
    rows: list[list[float]] = logprobs_of(logits, targets).double().tolist()
    return [row[-num:] for row, num in zip(rows, num_targets, strict=True)]
