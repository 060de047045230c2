"""Calibration: what a score of a voice is worth, by how strangers' texts score.

The score of a text is a z: how many spreads of strangers' texts of its own length it lies above
their mean, all compared with the same voice. 0 is what a stranger reaches, and the voice's own
mark is what its own texts reach, each compared with the others. Where that mark is low the score
says nothing, and abstains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from personalm.selection.lengths import LENGTHS, length_bucket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from personalm.selection.impostors import Strangers
    from personalm.selection.scorers import Scorer
    from personalm.settings import Selection

_DECIMALS = 4
# Fewer own texts that can be scored have a mean that says nothing.
_MIN_MARKED_TEXTS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """The direction of a voice, and mean and spread of strangers' scores by length.

    `means` and `spreads` have an entry for each of `LENGTHS`, NaN where there are too few
    strangers. `own_mark` is the mean z of the voice's own texts, `None` where too few of them can
    be scored.
    """

    direction: NDArray[np.float32]
    means: NDArray[np.float64]
    spreads: NDArray[np.float64]
    own_mark: float | None

    @classmethod
    def of(
        cls,
        rows: NDArray[np.float32],
        num_words: Sequence[int],
        strangers: Strangers,
        *,
        scorer: Scorer,
        selection: Selection,
    ) -> Self | None:
        """Calibrate the scores of a voice by its own texts, no two of them alike.

        `None` where the voice has too few, or where there are too few strangers of any length.
        """
        pool = strangers.rows
        if len(rows) < max(selection.min_scored_texts, 2) or not len(pool):
            return None
        total = rows.sum(axis=0, dtype=np.float64)
        # The first centroid is that of all texts; each of the others leaves one out.
        others = (total - rows) / (len(rows) - 1)
        centroids = np.vstack([total / len(rows), others]).astype(np.float32)
        directions = scorer.find_directions(centroids, strangers)
        means, spreads = _measure(pool @ directions.T, strangers.buckets, selection.min_impostors)
        if not np.isfinite(means[:, 0]).any():
            return None
        marks = [
            _z(float(row @ directions[place]), means[bucket, place], spreads[bucket, place])
            for place, (row, words) in enumerate(zip(rows, num_words, strict=True), start=1)
            if words >= selection.min_scored_words
            for bucket in (length_bucket(words),)
        ]
        known = [mark for mark in marks if mark is not None]
        is_marked = len(known) >= _MIN_MARKED_TEXTS
        # Copies: a part of an array keeps the whole of it, and calibrations are kept by thousands.
        return cls(
            direction=directions[0].copy(),
            means=means[:, 0].copy(),
            spreads=spreads[:, 0].copy(),
            own_mark=round(math.fsum(known) / len(known), _DECIMALS) if is_marked else None,
        )

    def style_score(
        self, row: NDArray[np.float32], num_words: int, selection: Selection
    ) -> float | None:
        """Return the z of a text; `None` where it is too short, or the voice cannot be told."""
        if self.own_mark is None or self.own_mark < selection.min_own_mark:
            return None
        if num_words < selection.min_scored_words:
            return None
        bucket = length_bucket(num_words)
        z = _z(float(row @ self.direction), self.means[bucket], self.spreads[bucket])
        return None if z is None else round(z, _DECIMALS)

    def to_array(self) -> NDArray[np.float64]:
        """Return all numbers in one row, to be kept."""
        own_mark = math.nan if self.own_mark is None else self.own_mark
        return np.concatenate([[own_mark], self.means, self.spreads, self.direction])

    @classmethod
    def from_array(cls, kept: NDArray[np.float64]) -> Self:
        """Return what `to_array` was told."""
        middle, end = 1 + len(LENGTHS), 1 + 2 * len(LENGTHS)
        return cls(
            own_mark=None if math.isnan(kept[0]) else float(kept[0]),
            means=kept[1:middle],
            spreads=kept[middle:end],
            direction=kept[end:].astype(np.float32),
        )


def _measure(
    scores: NDArray[np.float32], buckets: NDArray[np.int64], min_impostors: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and spread of strangers' scores. *Shape:* (lengths, voices) each."""
    means = np.full((len(LENGTHS), scores.shape[1]), np.nan)
    spreads = means.copy()
    for bucket in range(len(LENGTHS)):
        found = scores[buckets == bucket]
        if len(found) >= min_impostors:
            means[bucket] = found.mean(axis=0, dtype=np.float64)
            spreads[bucket] = found.std(axis=0, ddof=1, dtype=np.float64)
    return means, spreads


def _z(score: float, mean: float, spread: float) -> float | None:
    """Return a score in spreads from the mean, `None` where there is no such thing."""
    z = (score - mean) / spread if spread > 0 else math.nan
    return float(z) if math.isfinite(z) else None
