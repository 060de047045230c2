"""Laws of terms."""

from __future__ import annotations

import bm25s
import pytest
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS
from hypothesis import given
from hypothesis import strategies as st

from personalm import terms

_WORDS = st.sampled_from(
    ["The", "kettles", "running", "I", "x1", "東京", "タワー", "it's", "—", "ß"]
)


@given(st.lists(st.text() | st.lists(_WORDS).map(" ".join), max_size=5))
def test_terms_are_those_of_bm25s(texts: list[str]) -> None:
    """The library's own splitting gives the same terms, in the same order."""
    expected = bm25s.tokenize(
        texts,
        token_pattern=terms._TERM.pattern,
        stopwords=list(STOPWORDS_EN_PLUS),
        stemmer=Stemmer.Stemmer("english"),
        return_ids=False,
        show_progress=False,
        allow_empty=False,
    )

    assert terms.split_terms(texts) == [[term for term in each if term] for each in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The kettles are boiling", ["kettl", "boil"]),
        ("a b c", []),
        ("", []),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
    ],
)
def test_terms_are_stems_without_stop_words(text: str, expected: list[str]) -> None:
    """Words of two letters or more; pairs of characters where there are no spaces."""
    assert terms.split_terms([text]) == [expected]
