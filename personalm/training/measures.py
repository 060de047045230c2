"""Measures: how likely a model finds held-out texts under four histories.

Perplexity is e to the mean loss a token; the difference of two histories is that of their mean
log-likelihoods a token, in nats, text by text. An own history that helps more than another's is
what personalisation is; another's history helps as well, by telling what texts look like here.
The model without a history, mixed with n-grams of the user, is the baseline.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

from personalm.generation.likelihood import score
from personalm.training.intervals import Interval, ratio_interval
from personalm.training.ngrams import mix_losses
from personalm.training.swaps import History

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.generation.loading import LoadedModel
    from personalm.training.swaps import Swap

Losses: TypeAlias = "Mapping[History, Sequence[Sequence[float]]]"
"""For each history, the negative log-likelihood of each token of each text."""

PAIRS = {
    "own_minus_other": (History.OWN, History.OTHER_RANDOM),
    "own_minus_nearest": (History.OWN, History.OTHER_NEAREST),
    "own_minus_none": (History.OWN, History.NONE),
}


MIXED = {"own": History.OWN, "other_random": History.OTHER_RANDOM}
"""Whose n-grams are mixed with the model that is shown no history."""


def measure_losses(model: LoadedModel, swaps: Sequence[Swap]) -> dict[History, list[list[float]]]:
    """Return the losses of each text after each history, a token each."""
    return {
        history: [
            [-logprob for logprob in target.logprobs]
            for target in score(
                model,
                [
                    (swap.examples[history].prompt_ids, swap.examples[history].target_ids)
                    for swap in swaps
                ],
            )
        ]
        for history in History
    }


def summarise(losses: Losses, swaps: Sequence[Swap], *, seed: int) -> dict[str, object]:
    """Return perplexities and paired differences, of all texts and by tier of history."""
    sums = _sum_up(losses, swaps)
    every = range(len(swaps))
    tiers = sorted({swap.tier for swap in swaps})
    by_tier = {
        tier: _summarise(sums, swaps, [row for row in every if swaps[row].tier == tier], seed)
        for tier in tiers
    }
    return {**_summarise(sums, swaps, every, seed), "by_tier": by_tier}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Losses of each text, summed over its tokens, and the mean share of mixed n-grams."""

    histories: Mapping[str, Sequence[float]]
    mixes: Mapping[str, Sequence[float]]
    share: float


def _sum_up(losses: Losses, swaps: Sequence[Swap]) -> _Sums:
    texts = [swap.examples[History.NONE].target_ids for swap in swaps]
    users = [swap.author for swap in swaps]
    mixes, shares = {}, {}
    for name, history in MIXED.items():
        pasts = [swap.pasts[history] for swap in swaps]
        mixes[name], shares[name] = mix_losses(texts, pasts, losses[History.NONE], users)
    return _Sums(
        histories={
            history.value: [math.fsum(each) for each in of_texts]
            for history, of_texts in losses.items()
        },
        mixes=mixes,
        share=shares["own"],
    )


def _summarise(
    sums: _Sums, swaps: Sequence[Swap], rows: Sequence[int], seed: int
) -> dict[str, object]:
    users = [swaps[row].author for row in rows]
    tokens = [len(swaps[row].examples[History.OWN].target_ids) for row in rows]

    def estimate(losses: Sequence[float], less: Sequence[float] | None = None) -> Interval:
        values = [losses[row] - (less[row] if less else 0.0) for row in rows]
        return ratio_interval(values, tokens, users, seed=seed)

    own, none, mix = sums.histories["own"], sums.histories["none"], sums.mixes["own"]
    return {
        "perplexity": {
            name: _exponential(estimate(losses)) for name, losses in sums.histories.items()
        },
        "paired": {
            name: asdict(estimate(sums.histories[worse], sums.histories[better]))
            for name, (better, worse) in PAIRS.items()
        },
        "ngram_mix": {
            "perplexity": {
                name: _exponential(estimate(losses)) for name, losses in sums.mixes.items()
            },
            "paired": {
                "mix_minus_none": asdict(estimate(none, mix)),
                "mix_minus_other_mix": asdict(estimate(sums.mixes["other_random"], mix)),
                "own_minus_mix": asdict(estimate(mix, own)),
            },
            "share": sums.share,
        },
        "num_texts": len(rows),
        "num_users": len(set(users)),
        "num_tokens": sum(tokens),
    }


def _exponential(loss: Interval) -> dict[str, float]:
    return {name: math.exp(min(value, 700.0)) for name, value in asdict(loss).items()}
