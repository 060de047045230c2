"""Estimates: means over people, with the interval that other people would likely have given.

Texts of one person are no independent evidence, so people are what is drawn anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from personalm.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.float64] | Sequence[float | None]

_SEED = 20_260
MIN_CEILING = 0.3
"""Where real texts reach less, nothing can be told of texts that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over `n` people, and its 95 % interval; one person alone has none."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the numbers by name."""
        return asdict(self)


def estimate(values: Values) -> Estimate | None:
    """Return the mean of one value a person; missing ones (NaN or None) do not count.

    The interval is the percentile bootstrap over people, with a fixed seed. None without values.
    """
    found = _clean(values)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    mean = round(float(found.mean()), 4)
    if len(found) == 1:
        return Estimate(mean=mean, low=None, high=None, n=1)
    low, high = resample((found,), np.mean, seed=_SEED)
    return Estimate(mean=mean, low=round(low, 4), high=round(high, 4), n=len(found))


def ratio(values: Values, ceiling: Values) -> Estimate | None:
    """Return the mean of the values as a share of the mean of the ceiling, people paired.

    It abstains, with None, where the ceiling is below 0.3: shares of next to nothing say nothing.
    """
    pairs = np.stack([_clean(values), _clean(ceiling)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    num = pairs.shape[1]
    if not num or pairs[1].mean() < MIN_CEILING:
        return None
    share = round(float(pairs[0].mean() / pairs[1].mean()), 4)
    if num == 1:
        return Estimate(mean=share, low=None, high=None, n=1)
    low, high = resample(
        (pairs[0], pairs[1]),
        lambda one, other, axis: one.mean(axis=axis) / other.mean(axis=axis),
        seed=_SEED,
    )
    return Estimate(mean=share, low=round(low, 4), high=round(high, 4), n=num)


def _clean(values: Values) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
