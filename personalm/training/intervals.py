"""Means with intervals, by bootstrap over users.

A user's texts are alike: they are drawn together, with replacement (Efron's percentile method).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NUM_DRAWS = 2_000
_LOW, _HIGH = 2.5, 97.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it lies on one side of 0."""
        return self.low > 0.0 or self.high < 0.0


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
    drawn = np.random.default_rng(seed).integers(num_users, size=(_NUM_DRAWS, num_users))
    ratios: NDArray[np.float64] = above[drawn].sum(axis=1) / below[drawn].sum(axis=1)
    low, high = np.percentile(ratios, [_LOW, _HIGH])
    return Interval(mean=float(above.sum() / below.sum()), low=float(low), high=float(high))
