"""Laws of the n-gram mix: it is a distribution, and its share is chosen on others' texts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.training.ngrams import SHARES, Ngrams, mix_losses

VOCABULARY = 6
texts = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=8).map(tuple), max_size=6)
weights = st.lists(st.floats(0.01, 1.0), min_size=VOCABULARY, max_size=VOCABULARY)


@given(texts, st.lists(st.integers(0, VOCABULARY - 1), max_size=4).map(tuple), weights)
def test_probabilities_of_all_tokens_sum_to_one(
    past: list[tuple[int, ...]], before: tuple[int, ...], given_weights: list[float]
) -> None:
    """After any beginning, whatever the model below gives."""
    ngrams = Ngrams(past)
    model = [weight / sum(given_weights) for weight in given_weights]

    after = [
        ngrams.smooth((*before, token), [0.0] * len(before) + [math.log(model[token])])[-1]
        for token in range(VOCABULARY)
    ]

    assert all(probability > 0.0 for probability in after)
    assert sum(after) == pytest.approx(1.0)


def test_probabilities_are_those_of_witten_and_bell() -> None:
    """By hand: two texts, 1 2 and 1 3, and a model that gives every token a tenth."""
    first, second, third = Ngrams([(1, 2), (1, 3)]).smooth((1, 2, 4), [math.log(0.1)] * 3)

    of_1 = (2 + 3 * 0.1) / (4 + 3)  # 1 stands twice among four tokens of three kinds
    at_start = (2 + 1 * of_1) / (2 + 1)  # after one start, and then after two
    assert first == pytest.approx((2 + 1 * at_start) / (2 + 1))
    of_2 = (1 + 3 * 0.1) / (4 + 3)
    after_1 = (1 + 2 * of_2) / (2 + 2)
    assert second == pytest.approx((1 + 2 * after_1) / (2 + 2))
    assert third == pytest.approx(3 * 0.1 / (4 + 3))  # nothing was ever seen after 2


def test_without_texts_the_model_stands_alone() -> None:
    """Somebody without a past is written for as by the model."""
    losses = [[1.0, 2.0], [0.5]]

    assert Ngrams([]).smooth((3, 4), [-1.0, -2.0]) == [math.exp(-1.0), math.exp(-2.0)]
    mixed, _ = mix_losses([(3, 4), (5,)], [[], []], losses, [0, 1])
    assert mixed == pytest.approx([3.0, 0.5])


def test_own_runs_of_tokens_make_a_text_likelier() -> None:
    """Two users who say the same again and again; another's texts help neither."""
    said = [(1, 2, 3, 4), (5, 6, 7, 8)]
    losses = [[3.0] * 4] * 2

    own, share = mix_losses(said, [[said[0]] * 5, [said[1]] * 5], losses, [0, 1])
    other, without = mix_losses(said, [[said[1]] * 5, [said[0]] * 5], losses, [0, 1])

    assert share == max(SHARES)
    assert all(loss < 6.0 for loss in own)
    assert without == 0.0
    assert other == pytest.approx([12.0, 12.0])


def test_a_share_is_chosen_on_others_texts_alone() -> None:
    """The one user whom n-grams help gets what serves the others: nothing."""
    helped, rest = (1, 2, 3), [(4, 4, 4), (5, 5, 5)]
    losses = [[2.0] * 3, [0.001] * 3, [0.001] * 3]

    mixed, _ = mix_losses(
        [helped, *rest], [[helped] * 9, [(1,)] * 9, [(2,)] * 9], losses, [7, 8, 9]
    )

    assert mixed[0] == pytest.approx(6.0)
    assert all(loss > 0.003 for loss in mixed[1:])


def test_a_token_the_model_gives_nothing_is_no_error() -> None:
    """Its loss is large, and finite."""
    mixed, _ = mix_losses([(1,), (2,)], [[], []], [[2000.0], [1.0]], [0, 1])

    assert math.isfinite(mixed[0])
    assert mix_losses([], [], [], []) == ([], 0.0)
