"""Intervals by resampling people: what other people like these would likely have given.

Texts of one person are alike and no independent evidence, so people are what is drawn anew, with
replacement: the percentile bootstrap (Efron 1979), with a fixed seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LEVEL = 0.95
"""Share of such intervals that hold the truth."""

_NUM_DRAWS = 2_000


def resample(
    values: Sequence[NDArray[Any]],
    statistic: Callable[..., NDArray[np.float64]],
    *,
    seed: int,
) -> tuple[float, float]:
    """Return the ends of the interval of a statistic of two people or more.

    Each array has a value a person, in the same order; the statistic takes all of them and `axis`.
    """
    drawn = bootstrap(
        tuple(values),
        statistic,
        paired=len(values) > 1,
        n_resamples=_NUM_DRAWS,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(drawn.low), float(drawn.high)
