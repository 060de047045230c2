"""The style of a voice: where its own texts lie among all texts, and what strangers' texts score.

A raw cosine orders the candidates of one user; between users it means nothing. The calibrated
score does, where there is one.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

import numpy as np

from personalm.selection.calibration import Calibration

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
    texts. `calibration` is `None` where there are too few own texts, or strangers.
    """

    centroid: NDArray[np.float32] | None
    median_length: float | None
    calibration: Calibration | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        rows: NDArray[np.float32],
        *,
        min_texts: int,
        calibration: Calibration | None = None,
    ) -> Self:
        """Make the reference from a voice's texts and their rows; unknown texts do not count."""
        is_known = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
        known = rows[is_known].astype(np.float64)
        mean = known.mean(axis=0) if len(known) >= max(min_texts, 1) else np.zeros(1)
        length = float(np.linalg.norm(mean))
        return cls(
            centroid=(mean / length).astype(np.float32) if length > 0 else None,
            median_length=float(median(map(len, texts))) if texts else None,
            calibration=calibration,
        )

    @property
    def own_mark(self) -> float | None:
        """Mean z of the voice's own texts, `None` where it cannot be told."""
        return None if self.calibration is None else self.calibration.own_mark

    def style_cosine(self, row: NDArray[np.float32]) -> float | None:
        """Return the cosine of a candidate's row with the centroid, in [-1, 1].

        It abstains, with `None`, where there is no centroid or nothing is known of the candidate.
        """
        if self.centroid is None or not row.any():
            return None
        cosine = float(np.dot(self.centroid.astype(np.float64), row.astype(np.float64)))
        return round(min(1.0, max(-1.0, cosine)), _DECIMALS) if math.isfinite(cosine) else None

    def to_bytes(self) -> bytes:
        """Return all of it as numbers, to be kept."""
        centroid = np.zeros(0) if self.centroid is None else self.centroid
        calibration = np.zeros(0) if self.calibration is None else self.calibration.to_array()
        length = math.nan if self.median_length is None else self.median_length
        numbers = np.concatenate([[length, len(centroid)], centroid, calibration])
        return numbers.astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, kept: bytes) -> Self | None:
        """Return what `to_bytes` was told, `None` for bytes that it cannot have written."""
        try:
            numbers = np.frombuffer(kept, dtype="<f8")
            end = 2 + int(numbers[1])
            centroid, calibration = numbers[2:end], numbers[end:]
            return cls(
                centroid=centroid.astype(np.float32) if len(centroid) else None,
                median_length=None if math.isnan(numbers[0]) else float(numbers[0]),
                calibration=Calibration.from_array(calibration) if len(calibration) else None,
            )
        except (ValueError, IndexError, OverflowError):
            return None


class StyleCache:
    """The references used last, by the name of their voices; bounded in number."""

    def __init__(self, *, max_voices: int = 1_024) -> None:
        self._max_voices = max_voices
        self._references: OrderedDict[str, StyleReference] = OrderedDict()

    def __len__(self) -> int:
        return len(self._references)

    def get(self, name: str) -> StyleReference | None:
        """Return the reference of a voice, if it is still there."""
        if name in self._references:
            self._references.move_to_end(name)
        return self._references.get(name)

    def put(self, name: str, reference: StyleReference) -> None:
        """Keep a reference; the one that was used longest ago may have to go."""
        self._references[name] = reference
        self._references.move_to_end(name)
        while len(self._references) > self._max_voices:
            self._references.popitem(last=False)
