"""The n-gram mix: what a user's own runs of tokens add to a model that is shown no history.

It is the cheap way to make a model personal, and the baseline for the others: nothing is learned
and no prompt grows. A global model is mixed with n-grams of each user, as in arXiv:2006.05469;
the n-grams are smoothed as by Witten and Bell (1991), down to the model itself.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from personalm.training.examples import TokenIds

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the n-grams that are tried; with 0 the model stands alone."""

_ORDER = 3
_START = -1  # before the first token of a text; no token has this id


class Ngrams:
    """Unigrams, bigrams and trigrams of some texts, as token ids."""

    def __init__(self, texts: Iterable[TokenIds]) -> None:
        """Count them; each text stands alone."""
        followers: dict[TokenIds, Counter[int]] = {}
        for text in texts:
            ids = (_START,) * (_ORDER - 1) + text
            for at in range(_ORDER - 1, len(ids)):
                for num_before in range(_ORDER):
                    followers.setdefault(ids[at - num_before : at], Counter())[ids[at]] += 1
        self._followers = {before: (found, found.total()) for before, found in followers.items()}

    def smooth(self, text: TokenIds, logprobs: Sequence[float]) -> list[float]:
        """Return the probability of each token of a text, where the model has given these."""
        ids = (_START,) * (_ORDER - 1) + text
        return [
            self._probability(ids[at : at + _ORDER - 1], ids[at + _ORDER - 1], math.exp(logprob))
            for at, logprob in enumerate(logprobs)
        ]

    def _probability(self, before: TokenIds, token: int, probability: float) -> float:
        for num_before in range(_ORDER):
            found = self._followers.get(before[len(before) - num_before :])
            if found is None:
                break
            followers, total = found
            num_kinds = len(followers)
            probability = (followers[token] + num_kinds * probability) / (total + num_kinds)
        return probability


def mix_losses(
    texts: Sequence[TokenIds],
    pasts: Sequence[Sequence[TokenIds]],
    losses: Sequence[Sequence[float]],
    users: Sequence[int],
) -> tuple[list[float], float]:
    """Return the loss of each text under the mix, summed over its tokens, and the mean share.

    `pasts` are the texts whose n-grams are mixed in, `losses` those of the model alone, a token
    each. The share of each user's texts is the one that serves all other users' best.
    """
    if not texts:
        return [], 0.0
    table = np.asarray(
        [_losses_by_share(*each) for each in zip(texts, pasts, losses, strict=True)], float
    )
    rows = np.unique(np.asarray(users), return_inverse=True)[1]
    by_user = np.zeros((int(rows.max()) + 1, len(SHARES)))
    np.add.at(by_user, rows, table)
    chosen = (by_user.sum(axis=0) - by_user).argmin(axis=1)[rows]
    mixed: list[float] = table[np.arange(len(table)), chosen].tolist()
    return mixed, float(np.asarray(SHARES)[chosen].mean())


def _losses_by_share(
    text: TokenIds, past: Sequence[TokenIds], losses: Sequence[float]
) -> list[float]:
    alone = [math.exp(-loss) for loss in losses]
    smoothed = Ngrams(past).smooth(text, [-loss for loss in losses])
    return [
        # A model may give a token nothing at all, up to rounding; the text has it all the same.
        -math.fsum(
            math.log(max((1.0 - share) * one + share * other, 1e-300))
            for one, other in zip(alone, smoothed, strict=True)
        )
        for share in SHARES
    ]
