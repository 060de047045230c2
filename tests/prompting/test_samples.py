"""Laws of samples."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from personalm.prompting.samples import sample_newest, sample_styles

_TEXTS = (
    "Slugs got the lettuces again, all three rows of them.",
    "Forecast said dry. Forecast is a liar. Onions stand in soup.",
    "The committee wants bunting. I want the tap fixed.",
    "Slugs got the lettuces again, all four rows of them.",
)


def test_near_duplicates_are_never_both_shown() -> None:
    """Not with each other, and not with what is excluded."""
    chosen = sample_styles(_TEXTS, 4)

    assert len(chosen) == 3
    assert len({_TEXTS[0], _TEXTS[3]} & set(chosen)) == 1
    assert set(sample_styles(_TEXTS, 4, exclude=[_TEXTS[0]])) == {_TEXTS[1], _TEXTS[2]}


def test_the_first_is_typical_and_the_second_is_far_from_it() -> None:
    """Of many texts on rain and one on kites, both are seen."""
    rain = [
        f"It rained in {town} all day, and the rain was cold."
        for town in ("Delft", "Breda", "Ghent")
    ]
    kites = "Kites fly over our beach, blue, red and green!"

    first, second = sample_styles([*rain, kites], 2)

    assert first in rain
    assert second == kites


def test_prose_of_usable_length_comes_first() -> None:
    """Links, commands, single words and numbers only fill up."""
    odd = (
        "ok",
        "http://example.org/a/long/link",
        "!help me with this please",
        "1 2 3 4 5 6 7 8 9 10 11",
    )

    assert sample_styles((*odd, *_TEXTS[:2]), 2) in {_TEXTS[:2], _TEXTS[1::-1]}
    assert len(sample_styles((*odd, *_TEXTS[:2]), 4)) == 4
    assert sample_styles(("ok",), 3) == ("ok",)


@given(st.lists(st.text(max_size=40), max_size=12), st.integers(0, 4))
def test_any_history_gives_some_of_its_texts(texts: list[str], k: int) -> None:
    """No more than asked, each once, none empty, the same each time."""
    chosen = sample_styles(texts, k)

    assert chosen == sample_styles(texts, k)
    assert len(chosen) == len(set(chosen)) <= k
    assert all(text in texts and text.strip() for text in chosen)
    assert not set(sample_styles(texts, k, exclude=texts))


def test_a_huge_history_takes_no_longer_than_its_newest_texts() -> None:
    """A user with 100,000 texts holds nobody up."""
    texts = [f"text {n} about the weather in town {n % 97} and {n % 89}" for n in range(100_000)]
    start = time.perf_counter()
    sample_styles(["x" * 1_000_000, *texts, "y" * 1_000_000], 4)

    assert time.perf_counter() - start < 1.0


def test_the_newest_texts_are_taken_as_they_are() -> None:
    """Newest first, near-duplicates and all, but none twice and none that is excluded."""
    assert sample_newest([*_TEXTS, _TEXTS[0], "  "], 3) == (_TEXTS[0], _TEXTS[3], _TEXTS[2])
    assert sample_newest(_TEXTS, 4, exclude=[_TEXTS[3]]) == _TEXTS[2::-1]
    assert sample_newest(_TEXTS, 0) == ()
