"""Laws of the shape: numbers of the text alone, each of which moves with one habit."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.selection.shape import FEATURES, count_emoji, has_contraction, shape_rows

PLAIN = "The kettle is on. Tea is nearly ready."


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("length", PLAIN + " The kettle is on. Tea is nearly ready."),
        ("sentence_length", "The kettle is on and tea is nearly ready."),
        ("word_length", "Extraordinary kettles whistle."),
        ("capitals", "THE KETTLE IS ON. Tea is nearly ready."),
        ("lower_case_start", "the kettle is on. tea is nearly ready."),
        ("commas", "The kettle, old, is on. Tea is nearly ready."),
        ("exclamations", "The kettle is on! Tea is nearly ready."),
        ("questions", "The kettle is on? Tea is nearly ready."),
        ("ellipses", "The kettle is on... Tea is nearly ready."),
        ("other_marks", "The kettle (old) is on. Tea is nearly ready."),
        ("digits", "The kettle is on 24. Tea is nearly ready."),
        ("emoji", "The kettle is on. Tea is nearly ready. 😂"),
        ("emoji", "The kettle is on. Tea is nearly ready :)"),
        ("contractions", "The kettle's on, isn't it. Tea's nearly ready."),
        ("greeting", "Hi there. The kettle is on."),
        ("greeting", "こんにちは。お茶が入りました。"),
        ("sign_off", "The kettle is on. Cheers, Maren"),
        ("sign_off", "お茶が入りました。よろしくお願いします。"),
        ("kana", "おちゃがはいりました"),
    ],
)
def test_a_habit_moves_its_feature(feature: str, text: str) -> None:
    """The same text with and without it."""
    plain, other = shape_rows([PLAIN, text])
    assert other[FEATURES.index(feature)] > plain[FEATURES.index(feature)]


def test_full_stops_can_be_left_out() -> None:
    """A text without them has none."""
    plain, other = shape_rows([PLAIN, "the kettle is on"])
    place = FEATURES.index("stops")
    assert plain[place] > other[place] == 0


@pytest.mark.parametrize("text", ["我今天早上喝了三杯茶", "今日は涼しいですね", "привет как дела"])
def test_no_script_is_taken_for_a_contraction_or_emoji(text: str) -> None:
    """What is English stays at 0 elsewhere."""
    assert not has_contraction(text)
    assert count_emoji(text) == 0


@given(st.lists(st.text(max_size=80), max_size=5))
def test_every_text_has_finite_features_that_depend_on_it_alone(texts: list[str]) -> None:
    """Together and alone, and never below 0."""
    rows = shape_rows(texts)
    assert rows.shape == (len(texts), len(FEATURES))
    assert np.isfinite(rows).all()
    assert (rows >= 0).all()
    for text, row in zip(texts, rows, strict=True):
        assert np.array_equal(shape_rows([text])[0], row)


@pytest.mark.parametrize("unit", ["a", "1", ".", "。", "@", "👩\u200d", "🏻", "今日は雨、", "a."])
def test_a_text_of_one_sign_costs_by_its_length(unit: str) -> None:
    """Whatever it repeats, and whether or not it ends in something else."""
    for end in ("", "x", " x"):
        start = time.process_time()
        shape_rows([(unit * 20_000)[:20_000] + end])

        assert time.process_time() - start < 0.5
