"""Laws of the intervals: they hold their mean, and users count, not rows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.training.intervals import ratio_interval


@given(
    st.lists(
        st.tuples(st.floats(-9, 9), st.integers(1, 50), st.integers(0, 5)), min_size=1, max_size=40
    )
)
def test_a_mean_is_the_ratio_of_the_sums(rows: list[tuple[float, int, int]]) -> None:
    """And its interval is one."""
    above, below, users = (list(column) for column in zip(*rows, strict=True))
    found = ratio_interval(above, below, users, seed=0)

    assert found.mean == pytest.approx(sum(above) / sum(below), abs=1e-9)
    assert found.low <= found.high


def test_many_rows_of_a_few_users_tell_little() -> None:
    """The same rows of as many users give a much narrower interval."""
    chance = random.Random(0)  # noqa: S311 - no secret
    marks = [chance.gauss(user % 4, 0.1) for user in range(400)]
    few = ratio_interval(marks, [1.0] * 400, [n % 4 for n in range(400)], seed=0)
    many = ratio_interval(marks, [1.0] * 400, list(range(400)), seed=0)

    assert few.high - few.low > 4 * (many.high - many.low)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """95 % of samples of 40 users, give or take what 200 samples can tell."""
    chance = random.Random(1)  # noqa: S311 - no secret
    num_covered = 0
    for sample in range(200):
        marks = [chance.gauss(0.3, 1.0) for _ in range(40)]
        found = ratio_interval(marks, [1.0] * 40, list(range(40)), seed=sample)
        num_covered += found.low <= 0.3 <= found.high

    assert 176 <= num_covered <= 199
