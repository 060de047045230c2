"""Scorers: by what a voice is told from strangers.

A row of a text holds its sentence embedding, which may have no columns, and then its shape. A
scorer finds the direction in which a voice lies from the mean of all strangers; how far a text
goes that way is its score. Directions are good within one voice; `Calibration` gives scores a
scale. Selectors choose and judges evaluate: nothing of this may judge what it has chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from personalm.selection.shape import FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from personalm.selection.impostors import Strangers
    from personalm.settings import ScorerName

NUM_SHAPE_COLUMNS = len(FEATURES)

# What hardly ever varies among strangers would outweigh all the rest where it does, and so would
# one odd habit. The values are those that told users of real chat apart best, by little.
_MIN_SPREAD = 0.1
_MAX_DIFFERENCE = 1.0


class Scorer(Protocol):
    """One way to tell voices from strangers."""

    def find_directions(
        self, centroids: NDArray[np.float32], strangers: Strangers
    ) -> NDArray[np.float32]:
        """Return the direction of each voice, given the mean row of its texts.

        *Shape:* (voices, columns) for `centroids` and what is returned.
        """


class EmbeddingScorer:
    """What a text says and how, as a sentence embedder sees it."""

    def find_directions(
        self, centroids: NDArray[np.float32], strangers: Strangers
    ) -> NDArray[np.float32]:
        """Return where the embeddings of a voice lie, seen from their usual place."""
        directions = centroids - strangers.mean
        directions[:, directions.shape[1] - NUM_SHAPE_COLUMNS :] = 0
        return directions


class ShapeScorer:
    """How a text is written: length, marks, capitals, greetings; see `shape`."""

    def find_directions(
        self, centroids: NDArray[np.float32], strangers: Strangers
    ) -> NDArray[np.float32]:
        """Return how the shape of a voice differs, in spreads of each feature.

        It is the linear discriminant of two clouds of one spread whose features vary
        independently, with a limit to what a single feature can say.
        """
        spread: NDArray[np.float32] = np.maximum(strangers.spread, _MIN_SPREAD)
        differences = (centroids - strangers.mean) / spread
        directions = np.clip(differences, -_MAX_DIFFERENCE, _MAX_DIFFERENCE) / spread
        directions[:, : directions.shape[1] - NUM_SHAPE_COLUMNS] = 0
        return directions


class MixScorer:
    """Embedding and shape, with equal say among strangers."""

    def __init__(self) -> None:
        self._parts = (EmbeddingScorer(), ShapeScorer())

    def find_directions(
        self, centroids: NDArray[np.float32], strangers: Strangers
    ) -> NDArray[np.float32]:
        """Return the sum of the parts, each of which spreads strangers over the same range."""
        directions = np.zeros_like(centroids)
        for part in self._parts:
            found = part.find_directions(centroids, strangers)
            spread = (strangers.rows @ found.T).std(axis=0)[:, None]
            np.divide(found, spread, out=found, where=spread > 0)
            directions += np.where(spread > 0, found, 0)
        return directions


_SCORERS: dict[ScorerName, Scorer] = {
    "embedding": EmbeddingScorer(),
    "shape": ShapeScorer(),
    "mix": MixScorer(),
}


def scorer_named(name: ScorerName) -> Scorer:
    """Return the scorer of a name in the settings."""
    return _SCORERS[name]
