"""The style of a voice: where its own texts lie among all texts, as an embedder sees them.

A raw cosine orders the candidates of one user; between users it means nothing.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from personalm.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# More texts cost time and, on real chat, told own from strange texts less well than the newest.
MAX_TEXTS = 64
# Rows differ in their seventh place with the texts that were embedded beside them.
_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StyleReference:
    """What the own texts of one voice have in common.

    `centroid` is the mean of their unit rows, of length 1, or `None` where there are too few to
    tell or the embedder knows nothing of them. `median_length` is in characters, `None` without
    texts.
    """

    centroid: NDArray[np.float32] | None
    median_length: float | None

    @classmethod
    def of(
        cls, texts: Sequence[str], rows: NDArray[np.float32], *, min_texts: int
    ) -> StyleReference:
        """Make the reference from a voice's texts and their rows; unknown texts do not count."""
        is_known = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
        known = rows[is_known].astype(np.float64)
        mean = known.mean(axis=0) if len(known) >= max(min_texts, 1) else np.zeros(1)
        length = float(np.linalg.norm(mean))
        return cls(
            centroid=(mean / length).astype(np.float32) if length > 0 else None,
            median_length=float(median(map(len, texts))) if texts else None,
        )

    def style_cosine(self, row: NDArray[np.float32]) -> float | None:
        """Return the cosine of a candidate's row with the centroid, in [-1, 1].

        It abstains, with `None`, where there is no centroid or nothing is known of the candidate.
        """
        if self.centroid is None or not row.any():
            return None
        cosine = float(np.dot(self.centroid.astype(np.float64), row.astype(np.float64)))
        return round(min(1.0, max(-1.0, cosine)), _DECIMALS) if math.isfinite(cosine) else None


class StyleCache:
    """The references used last, by the digest of their texts; bounded in number."""

    def __init__(self, *, max_voices: int = 1_024) -> None:
        self._max_voices = max_voices
        self._references: OrderedDict[str, StyleReference] = OrderedDict()

    def __len__(self) -> int:
        return len(self._references)

    def get(self, name: str) -> StyleReference | None:
        """Return the reference of a digest, if it is still there."""
        if name in self._references:
            self._references.move_to_end(name)
        return self._references.get(name)

    def put(self, name: str, reference: StyleReference) -> None:
        """Keep a reference; the one that was used longest ago may have to go."""
        self._references[name] = reference
        self._references.move_to_end(name)
        while len(self._references) > self._max_voices:
            self._references.popitem(last=False)


def style_digest(texts: Sequence[str]) -> str:
    """Return the name under which the reference of these texts is kept."""
    return digest(list(texts))
