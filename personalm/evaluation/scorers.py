"""Scorers: how alike a text and somebody's history are, each by one kind of evidence.

A scorer lays texts and histories out as rows of length 1; their likeness is the cosine. Raw
cosines mean nothing across users and lengths: see `calibration`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from sklearn.preprocessing import normalize

from personalm.selection.shape import shape_rows
from personalm.selection.styles import MAX_TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Pool: TypeAlias = Sequence[str]
    """Texts of one hand that are scored together."""

Rows: TypeAlias = Any
"""A matrix of numpy or scipy, (pools, features), its rows of length 1 or 0."""

MIN_SPREAD = 1e-9
"""What spreads less is the same for all, but for rounding."""


class Scorer(Protocol):
    """One kind of evidence."""

    name: str

    def fit(self, background: Sequence[Pool]) -> None:
        """Learn what is usual from people who are not compared, a pool each."""

    def rows_of(self, pools: Sequence[Pool]) -> Rows:
        """Return a row for each pool of texts."""


class EmbeddingScorer:
    """The mean of the texts' sentence embeddings: what the selector goes by."""

    name = "embedding"

    def __init__(self, encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        """Take what turns texts into unit rows."""
        self._encode = encode
        self._rows: dict[str, NDArray[np.float32]] = {}

    def fit(self, background: Sequence[Pool]) -> None:
        """Learn nothing."""

    def rows_of(self, pools: Sequence[Pool]) -> Rows:
        """Return the mean of the rows of each pool's newest texts; each text is embedded once."""
        newest = [pool[-MAX_TEXTS:] for pool in pools]
        new = sorted({text for pool in newest for text in pool if text not in self._rows})
        if new:
            self._rows |= zip(new, self._encode(new), strict=True)
        means = [np.mean([self._rows[text] for text in pool], axis=0) for pool in newest]
        return normalize(np.stack(means).astype(np.float64))


class ShapeScorer:
    """Length, case, punctuation, emoji, greetings and the like: the selector goes by it as well."""

    name = "shape"

    def __init__(self) -> None:
        self._mean: NDArray[np.float64] = np.zeros(1)
        self._spread: NDArray[np.float64] = np.ones(1)

    def fit(self, background: Sequence[Pool]) -> None:
        """Learn the mean and the spread of each feature."""
        found = mean_shapes(background)
        self._mean = found.mean(axis=0)
        spread = found.std(axis=0)
        self._spread = np.where(spread > MIN_SPREAD, spread, 1.0)

    def rows_of(self, pools: Sequence[Pool]) -> Rows:
        """Return how far the shape of each pool lies from the mean, in spreads."""
        return normalize((mean_shapes(pools) - self._mean) / self._spread)


def mean_shapes(pools: Sequence[Pool]) -> NDArray[np.float64]:
    """Return the mean features of each pool's texts. *Shape:* (pools, features)."""
    return np.stack([shape_rows(pool).mean(axis=0, dtype=np.float64) for pool in pools])
