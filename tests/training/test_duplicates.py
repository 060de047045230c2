"""Laws of near-duplicates: the oldest of like texts is kept, and nothing unlike is dropped."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personalm.errors import TrainingError
from personalm.training.duplicates import find_duplicates

TEXTS = [
    "The kettle clicks off and the kitchen window is grey again.",
    "Went down to the harbour before work. Cold, but the light was good.",
    "the  kettle clicks off and the KITCHEN window is grey again.",
    "The kettle clicks off and the kitchen window is grey again!!",
    "Thank you for your message. Your order 4711 will be sent tomorrow morning.",
    "Thank you for your message. Your order 4712 will be sent tomorrow morning.",
    "ok",
    "ok",
]


def test_what_says_the_same_again_is_found() -> None:
    """Case, white space, a sign more or another number make no other text."""
    assert find_duplicates(TEXTS, 0.8) == {2, 3, 5, 7}


def test_at_the_highest_limit_only_equal_texts_are_found() -> None:
    """A text with another number is another text then."""
    assert find_duplicates(TEXTS, 1.0) == {2, 7}


@given(st.lists(st.sampled_from(TEXTS), max_size=12), st.sampled_from([0.5, 0.8, 1.0]))
def test_of_each_text_one_copy_is_kept(texts: list[str], limit: float) -> None:
    """The first one of equals, or one that stands before it and is like it."""
    found = find_duplicates(texts, limit)
    kept = [text for row, text in enumerate(texts) if row not in found]

    assert len(set(kept)) == len(kept)
    assert not texts or 0 not in found
    if limit == 1.0:
        folded = {" ".join(text.casefold().split()) for text in texts}
        assert len(kept) == len(folded)


@given(st.floats(0.0, 1.0, exclude_min=True))
@example(0.99)
@example(math.nextafter(1.0, 0.0))
@example(math.nextafter(0.0, 1.0))
def test_any_limit_may_be_set(limit: float) -> None:
    """Equal texts are found at each, and none that shares less than the limit says."""
    found = find_duplicates(TEXTS, limit)

    assert found >= {2, 7}
    assert limit <= 0.95 or found == {2, 7}


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is of an extra."""
    monkeypatch.setitem(sys.modules, "datasketch", None)

    with pytest.raises(TrainingError, match=r"personalm\[train\]"):
        find_duplicates(TEXTS, 0.8)
