"""Laws of retrieval."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from personalm.prompting.retrieval import retrieve_texts

_TEXTS = (
    "My kettle whistles in the key of B flat.",
    "Slugs ate the lettuces again.",
    "Two kettles and no tea: that is my kitchen.",
    "The choir sang too fast.",
)


def test_the_nearest_texts_come_best_first() -> None:
    """Forms of a word are one word; texts that share none with the query are left out."""
    assert set(retrieve_texts(_TEXTS, "a new kettle", 3)) == {_TEXTS[0], _TEXTS[2]}
    assert retrieve_texts(_TEXTS, "slug and lettuce", 1) == (_TEXTS[1],)
    assert retrieve_texts((*_TEXTS, "kettle kettle whistle"), "kettle whistle", 2) == (
        "kettle kettle whistle",
        _TEXTS[0],
    )


def test_no_hit_is_no_text() -> None:
    """Stop words are no hits, and neither are empty queries and histories."""
    assert retrieve_texts(_TEXTS, "aardvark", 3) == ()
    assert retrieve_texts(_TEXTS, "the of in my", 3) == ()
    assert retrieve_texts(_TEXTS, " ", 3) == ()
    assert retrieve_texts((), "kettle", 3) == ()
    assert retrieve_texts(("", "?!", "a"), "kettle", 3) == ()
    assert retrieve_texts(_TEXTS, "kettle", 0) == ()


def test_ties_go_to_the_newer_text_and_twins_are_shown_once() -> None:
    """The history is oldest first."""
    assert retrieve_texts(("red kite", "kite red", "red kite"), "kite", 9) == (
        "red kite",
        "kite red",
    )


def test_texts_without_spaces_are_found() -> None:
    """By pairs of characters."""
    texts = ("昨日おいしいラーメンを食べた", "野球の試合を見た")

    assert retrieve_texts(texts, "野球", 2) == (texts[1],)


@given(st.lists(st.text(max_size=40), max_size=10), st.text(max_size=40), st.integers(0, 4))
def test_any_history_gives_some_of_its_texts(texts: list[str], query: str, k: int) -> None:
    """No more than asked, each once, the same each time."""
    found = retrieve_texts(texts, query, k)

    assert found == retrieve_texts(texts, query, k)
    assert len(found) == len(set(found)) <= k
    assert set(found) <= set(texts)


def test_a_huge_history_takes_no_longer_than_its_newest_texts() -> None:
    """A user with 100,000 texts holds nobody up."""
    texts = [f"text {n} about the weather in town {n % 97}" for n in range(100_000)]
    start = time.perf_counter()
    found = retrieve_texts(["x" * 1_000_000, *texts], "weather in town 5", 2)

    assert time.perf_counter() - start < 2.0
    assert all(int(text.split()[1]) >= 98_000 for text in found)
