"""Laws of lengths: five buckets, and a measure that needs no spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.selection.lengths import LENGTHS, length_bucket, measure_length


@pytest.mark.parametrize(
    ("num_words", "name"),
    [
        *((0, "<25"), (24, "<25"), (25, "25-49"), (49, "25-49"), (50, "50-99"), (99, "50-99")),
        *((100, "100-299"), (299, "100-299"), (300, "300+"), (9_999, "300+")),
    ],
)
def test_a_bucket_starts_where_its_name_says(num_words: int, name: str) -> None:
    """Bounds belong to the longer one."""
    assert LENGTHS[length_bucket(num_words)] == name


@pytest.mark.parametrize(
    ("text", "num_words"),
    [
        ("the kettle's on", 3),
        ("今日はとても涼しいですね", 6),
        ("我今天早上喝了三杯茶。", 5),
        ("iPhone を買った", 3),
        ("", 0),
        ("😂😂", 0),
    ],
)
def test_two_characters_without_spaces_are_a_word(text: str, num_words: int) -> None:
    """A Japanese or Chinese text is as long as an English one that says as much."""
    assert measure_length(text) == num_words


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_text_is_no_shorter_than_its_parts(one: str, two: str) -> None:
    """Whatever the texts hold."""
    assert measure_length(f"{one} \n {two}") >= max(measure_length(one), measure_length(two))
