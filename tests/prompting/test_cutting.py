"""Laws of cutting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.prompting.cutting import cut_text, fold_spaces


@pytest.mark.parametrize(
    ("text", "max_chars", "cut"),
    [
        ("Short.", 40, "Short."),
        ("One is here. Two is here. Three is here.", 30, "One is here. Two is here."),
        ('He said "no." Then he left the room.', 20, 'He said "no."'),
        ("Version 3.14 of the thing is out", 14, "Version 3.14"),
        ("no sentence ends anywhere in here", 20, "no sentence ends"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", 10, "aaaaaaaaaa"),
        ("今日は晴れ。明日は雨。あさっては雪。", 12, "今日は晴れ。明日は雨。"),
        ("trailing space   ", 40, "trailing space"),
    ],
)
def test_a_text_is_cut_where_a_reader_would_stop(text: str, max_chars: int, cut: str) -> None:
    """At the end of a sentence, else of a word, else where the room ends."""
    assert cut == cut_text(text, max_chars)


@given(st.text(), st.integers(1, 50))
def test_a_cut_text_is_a_start_of_the_text_within_its_room(text: str, max_chars: int) -> None:
    """Nothing is added and no space is left at the end."""
    cut = cut_text(text, max_chars)

    assert text.startswith(cut)
    assert len(cut) <= max_chars
    assert cut == cut.rstrip()


@given(st.text())
def test_a_folded_text_is_one_line(text: str) -> None:
    """Whatever counts as a line end is a space."""
    assert len(fold_spaces(text).splitlines()) <= 1
