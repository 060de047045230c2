"""Laws of the headlines under which a prompt shows a user's texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.prompting.headline import headline_of


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("Replaced the boiler valve. Twenty minutes.", "replaced and minutes"),
        ("The kettle is on, come in.", "kettle"),
        ("my cat, my cat, my cat", "cat"),
        ("I am very sure that you did it", ""),
        ("😭🎉 !!", ""),
        ("", ""),
    ],
)
def test_a_headline_is_the_one_or_two_longest_words_that_carry_meaning(
    text: str, headline: str
) -> None:
    """They stand in the order of the text, each once."""
    assert headline_of(text) == headline


@given(st.text(max_size=200))
def test_a_headline_is_made_of_words_of_its_text(text: str) -> None:
    """Nothing else ever comes in, and it is one line."""
    headline = headline_of(text)

    assert "\n" not in headline
    words = headline.split(" and ") if headline else []
    assert len(words) <= 2
    assert all(word in text.casefold() for word in words)
