"""Measures: how likely a model finds held-out texts under four histories.

Perplexity is e to the mean loss a token; the difference of two histories is that of their mean
log-likelihoods a token, in nats, text by text. An own history that helps more than another's is
what personalisation is; another's history helps as well, by telling what texts look like here.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

from personalm.generation.likelihood import score
from personalm.training.intervals import Interval, ratio_interval
from personalm.training.swaps import History

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.generation.loading import LoadedModel
    from personalm.training.swaps import Swap

Losses: TypeAlias = "Mapping[History, Sequence[float]]"
"""For each history, the negative log-likelihood of each text, summed over its tokens."""

PAIRS = {
    "own_minus_other": (History.OWN, History.OTHER_RANDOM),
    "own_minus_nearest": (History.OWN, History.OTHER_NEAREST),
    "own_minus_none": (History.OWN, History.NONE),
}


def measure_losses(model: LoadedModel, swaps: Sequence[Swap]) -> dict[History, list[float]]:
    """Return the loss of each text after each history."""
    return {
        history: [
            -logprob
            for logprob in score(
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
    every = range(len(swaps))
    tiers = sorted({swap.tier for swap in swaps})
    by_tier = {
        tier: _summarise(losses, swaps, [row for row in every if swaps[row].tier == tier], seed)
        for tier in tiers
    }
    return {**_summarise(losses, swaps, every, seed), "by_tier": by_tier}


def _summarise(
    losses: Losses, swaps: Sequence[Swap], rows: Sequence[int], seed: int
) -> dict[str, object]:
    users = [swaps[row].author for row in rows]
    tokens = [len(swaps[row].examples[History.OWN].target_ids) for row in rows]
    perplexity = {
        history.value: _exponential(
            ratio_interval([losses[history][row] for row in rows], tokens, users, seed=seed)
        )
        for history in History
    }
    paired = {
        name: asdict(
            ratio_interval(
                [losses[other][row] - losses[own][row] for row in rows], tokens, users, seed=seed
            )
        )
        for name, (own, other) in PAIRS.items()
    }
    return {
        "perplexity": perplexity,
        "paired": paired,
        "num_texts": len(rows),
        "num_users": len(set(users)),
        "num_tokens": sum(tokens),
    }


def _exponential(loss: Interval) -> dict[str, float]:
    return {name: math.exp(min(value, 700.0)) for name, value in asdict(loss).items()}
