"""How likely a model finds a text that comes after a prompt.

What prompts begin with is read once, be it a template or all of a prompt with a thousand endings.
Knows token ids alone: it draws nothing, and what prompt and target mean is the caller's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, TypeAlias

import torch

from personalm.errors import EngineError
from personalm.generation.decoding import shares_prefixes
from personalm.generation.prefill import Heads, fill_up, read_after
from personalm.generation.sampler import logprobs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from personalm.generation.loading import LoadedModel

Ids: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[Ids, Ids]
"""Token ids of a prompt, and of the target that follows it."""

# Their logits, in float32, are 400 MB for a vocabulary of 50,000.
_MAX_BATCH_TOKENS = 2_048
# A shorter common beginning saves less than it costs to read it apart.
_MIN_HEAD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetScore:
    """Natural logarithms of the probabilities of a target's tokens, each after those before it.

    `is_greedy` says whether greedy drawing would write the target.
    """

    logprobs: tuple[float, ...] = ()
    is_greedy: bool = True

    @property
    def logprob(self) -> float:
        """Natural logarithm of the whole target's probability, 0.0 for an empty one."""
        return math.fsum(self.logprobs)


def score(
    model: LoadedModel, pairs: Sequence[Pair], *, max_batch_tokens: int = _MAX_BATCH_TOKENS
) -> list[TargetScore]:
    """Return how likely the model finds the target of each pair after its prompt.

    An empty prompt stands for the model's own start of a text. Pairs of like length are read
    together; which ones are does not matter, up to rounding. Raises EngineError for a pair that
    the model cannot read.
    """
    whole = [(prompt or model.tokenizer.prefix_ids) + target for prompt, target in pairs]
    num_targets = [len(target) for _, target in pairs]
    for ids, num_target in zip(whole, num_targets, strict=True):
        _check(model, ids, num_target)
    scores = [TargetScore() for _ in pairs]
    heads = Heads()
    asked = [place for place, num_target in enumerate(num_targets) if num_target]
    # Pads stand between a head and the rest. A window of attention would count them.
    least = _MIN_HEAD if shares_prefixes(model) else model.card.max_positions
    most = max_batch_tokens if model.reads_batches else 0
    for head, places in _plan(asked, whole, num_targets, most, least):
        bodies = [whole[place][len(head) :] for place in places]
        batch = _read(model, heads, head, bodies, [num_targets[place] for place in places])
        for place, found in zip(places, batch, strict=True):
            scores[place] = found
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


def _plan(
    places: Sequence[int],
    whole: Sequence[Ids],
    num_targets: Sequence[int],
    most: int,
    least: int,
) -> Iterator[tuple[Ids, list[int]]]:
    """Cut places into batches of like length, each of at most so many tokens, pads counted.

    A pair that is longer is alone. Before each stand the tokens that all its rows begin with, where
    there are more than `least`: those of a template.
    """
    num_before = [len(ids) - num for ids, num in zip(whole, num_targets, strict=True)]

    def start_of(place: int) -> Ids:
        return whole[place][:least] if num_before[place] > least else ()

    in_order = sorted(places, key=lambda place: (start_of(place), len(whole[place]), place))
    for start, of_start in groupby(in_order, start_of):
        group = list(of_start)
        # What is asked is asked of a token before the target, which is no part of a head.
        known = [whole[place][: num_before[place] - 1] for place in group]
        head = _common_start(known) if start and len(group) > 1 else ()
        batch: list[int] = []
        for place in group:
            if batch and (len(batch) + 1) * (len(whole[place]) - len(head)) > most:
                yield head, batch
                batch = []
            batch.append(place)
        yield head, batch


def _common_start(rows: Sequence[Ids]) -> Ids:
    # What the first and the last in order begin with, all between them do.
    pairs = zip(min(rows), max(rows), strict=False)
    return tuple(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@torch.inference_mode()
def _read(
    model: LoadedModel,
    heads: Heads,
    head: Ids,
    bodies: Sequence[Ids],
    num_targets: Sequence[int],
) -> list[TargetScore]:
    """Return the score of each target; a body, which comes after the head, ends with it."""
    # Pads stand on the left, so that all targets end together; nothing is asked of a last token.
    targets, is_real = fill_up(
        model, [body[-num:] for body, num in zip(bodies, num_targets, strict=True)]
    )
    longest = max(num_targets)
    asked = [body[:-1] for body in bodies]
    if model.reads_batches:
        _, _, logits = read_after(model, heads, head, asked, num_kept=longest)
    else:
        ids = torch.tensor(asked, device=model.device)
        logits = model.network(input_ids=ids, use_cache=False).logits[:, -longest:]
    logprobs: list[list[float]] = logprobs_of(logits, targets).double().tolist()
    greedy: list[bool] = ((logits.argmax(-1) == targets) | ~is_real.bool()).all(-1).tolist()
    return [
        TargetScore(logprobs=tuple(row[-num:]), is_greedy=is_greedy)
        for row, is_greedy, num in zip(logprobs, greedy, num_targets, strict=True)
    ]
