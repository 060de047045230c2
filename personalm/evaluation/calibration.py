"""Calibration: scores that mean the same for every user and length.

A likeness becomes a z: how many spreads it lies above the likeness of strangers' texts of the
same length to the same history. 0 is a stranger. The strangers are compared nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from personalm.evaluation.lengths import take_pool
from personalm.evaluation.scorers import MIN_SPREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from personalm.evaluation.scorers import Pool, Rows, Scorer

MIN_IMPOSTORS = 5
"""With fewer strangers of a length there is nothing to calibrate by."""

_POOLS_AN_IMPOSTOR = 2


class Panel:
    """Some scorers, the histories of the people who are compared, and the strangers.

    `prepare` is what every text goes through before it is scored: masking, or nothing.
    """

    def __init__(
        self,
        scorers: Sequence[Scorer],
        *,
        histories: Sequence[Pool],
        background: Sequence[Pool],
        impostors: Sequence[Pool],
        prepare: Callable[[str], str],
    ) -> None:
        """Fit the scorers to the background, and lay out every history."""
        self._scorers = {scorer.name: scorer for scorer in scorers}
        self._prepare = prepare
        self._impostors = impostors
        self._usual: dict[tuple[str, int], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._histories: dict[str, Rows] = {}
        prepared = [self._ready(pool) for pool in histories]
        for scorer in scorers:
            scorer.fit([self._ready(pool) for pool in background])
            self._histories[scorer.name] = scorer.rows_of(prepared)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scorers."""
        return tuple(self._scorers)

    def score(
        self, pools: Sequence[Pool | None], lengths: Sequence[int]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the z of each pool against each history, by the name of the scorer.

        *Shape:* (pools, histories). `lengths` are in words; each pool has just so many. A pool
        that is missing, or of a length that too few strangers have, is a row of NaN.
        """
        return {name: self._score(name, pools, lengths) for name in self._scorers}

    def rows_of(self, name: str, pools: Sequence[Pool]) -> Rows:
        """Return the rows that a scorer lays pools out as."""
        return self._scorers[name].rows_of([self._ready(pool) for pool in pools])

    def _score(
        self, name: str, pools: Sequence[Pool | None], lengths: Sequence[int]
    ) -> NDArray[np.float64]:
        scores = np.full((len(pools), self._histories[name].shape[0]), np.nan)
        present = [place for place, pool in enumerate(pools) if pool]
        if present:
            scores[present] = _cosines(
                self.rows_of(name, [pools[place] or () for place in present]),
                self._histories[name],
            )
        for length in {lengths[place] for place in present}:
            mean, spread = self._usual_at(name, length)
            places = [place for place in present if lengths[place] == length]
            scores[places] = (scores[places] - mean) / spread
        return scores

    def _usual_at(self, name: str, length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and spread of strangers' likeness to each history, NaN where it has none."""
        if (name, length) not in self._usual:
            num_histories = self._histories[name].shape[0]
            mean = spread = np.full(num_histories, np.nan)
            pools = [pool for texts in self._impostors for pool in cut_pools(texts, length)]
            if len(pools) >= MIN_IMPOSTORS:
                cosines = _cosines(self.rows_of(name, pools), self._histories[name])
                mean, spread = cosines.mean(axis=0), cosines.std(axis=0, ddof=1)
                spread = np.where(spread > MIN_SPREAD, spread, np.nan)
            self._usual[name, length] = mean, spread
        return self._usual[name, length]

    def _ready(self, pool: Pool) -> tuple[str, ...]:
        return tuple(self._prepare(text) for text in pool)


def cut_pools(texts: Pool, length: int, *, most: int = _POOLS_AN_IMPOSTOR) -> list[tuple[str, ...]]:
    """Return up to `most` pools of so many words, the newest first, that share no text."""
    pools: list[tuple[str, ...]] = []
    left = list(reversed(texts))
    while len(pools) < most:
        pool = take_pool(left, length)
        if pool is None:
            break
        pools.append(pool)
        left = left[len(pool) :]
    return pools


def mean_of(scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean of several scorers' z: what they say together."""
    return np.mean(np.stack(list(scores)), axis=0)


def _cosines(rows: Rows, histories: Rows) -> NDArray[np.float64]:
    product = rows @ histories.T
    return np.asarray(product.todense() if hasattr(product, "todense") else product)
