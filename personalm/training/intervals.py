"""Means with intervals, by bootstrap over users.

A user's texts are alike: they are drawn together, with replacement (Efron's percentile method).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from personalm.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], users: Sequence[int], *, seed: int
) -> Interval:
    """Return the sum of some numbers over the sum of others, users drawn again and again.

    Row i is of user `users[i]`. With a mean loss a token in mind: losses over numbers of tokens.
    """
    rows = np.unique(np.asarray(users), return_inverse=True)[1]
    num_users = int(rows.max()) + 1
    above = np.bincount(rows, weights=np.asarray(numerators, float), minlength=num_users)
    below = np.bincount(rows, weights=np.asarray(denominators, float), minlength=num_users)
    mean = float(above.sum() / below.sum())
    if num_users == 1:
        # There is nobody else to draw.
        return Interval(mean=mean, low=mean, high=mean)
    low, high = resample(
        (above, below),
        lambda one, other, axis: one.sum(axis=axis) / other.sum(axis=axis),
        seed=seed,
    )
    return Interval(mean=mean, low=low, high=high)
