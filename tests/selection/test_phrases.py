"""Laws of phrases: found word by word, alone or together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.selection.phrases import Phrase, Phrases
from personalm.selection.words import split_words

WORDS = st.lists(st.sampled_from(["kill", "killer", "your", "self", "Harm", "*", "。", "死", "的"]))
TEXTS = WORDS.map(" ".join)


@pytest.mark.parametrize(
    ("phrase", "text", "is_there"),
    [
        ("end it", "Let us END, it seems.", True),
        ("end it", "the end of it", False),
        ("suicid*", "a suicidal thought", True),
        ("suicid", "a suicidal thought", False),
        ("* hurt yourself", "do not hurt yourself", True),
        ("自殺", "彼は自殺した", True),
        ("", "anything", False),
        ("*", "anything", False),
    ],
)
def test_a_phrase_is_found_by_its_words(*, phrase: str, text: str, is_there: bool) -> None:
    """Case and marks between the words do not count; a star stands for any end."""
    assert Phrase.parse(phrase).stands_in(split_words(text)) is is_there
    assert Phrases([phrase]).is_any_in(split_words(text)) is is_there


@given(phrases=st.lists(TEXTS, max_size=6), text=TEXTS)
def test_many_phrases_are_found_as_each_alone(phrases: list[str], text: str) -> None:
    """However many there are, and however they share their words."""
    words = split_words(text)
    read = [phrase for phrase in map(Phrase.parse, phrases) if phrase.words]
    together = Phrases(phrases)
    assert together.is_any_in(words) == any(phrase.stands_in(words) for phrase in read)
    assert together.are_all_in(words) == all(phrase.stands_in(words) for phrase in read)
