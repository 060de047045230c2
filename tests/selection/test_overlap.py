"""Laws of shared runs of words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from personalm.selection.overlap import Runs

_WORDS = st.lists(st.sampled_from("abc"), max_size=12)


@given(st.lists(_WORDS, max_size=4), _WORDS, st.integers(1, 8))
def test_a_run_is_shared_where_it_stands_in_one_of_the_texts(
    texts: list[list[str]], words: list[str], length: int
) -> None:
    """A run never reaches from text to text, and shorter shared runs are none."""
    expected = any(
        words[start : start + length] == text[place : place + length]
        for text in texts
        for start in range(len(words) - length + 1)
        for place in range(len(text) - length + 1)
    )

    assert Runs().share(tuple(map(" ".join, texts)), words, length) == expected
