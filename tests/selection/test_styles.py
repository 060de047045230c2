"""Laws of the style reference: it abstains rather than guess, and is never NaN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from personalm.selection.embedder import ScriptedEmbedder
from personalm.selection.styles import StyleCache, StyleReference
from personalm.selection.voices import Voice


def unit(*values: float) -> NDArray[np.float32]:
    """Return a row of length 1 in the direction of the values."""
    row = np.array(values, dtype=np.float32)
    return row / np.linalg.norm(row).astype(np.float32)


def reference(*rows: NDArray[np.float32], min_texts: int = 2) -> StyleReference:
    """Make a reference of rows, each of a text of five characters."""
    stacked = np.stack(rows) if rows else np.zeros((0, 2), dtype=np.float32)
    return StyleReference.of(["tea x"] * len(rows), stacked, min_texts=min_texts)


def test_the_cosine_is_that_with_the_mean_of_the_texts() -> None:
    """Between two texts at right angles lies the centroid."""
    middle = reference(unit(1, 0), unit(0, 1))
    assert middle.style_cosine(unit(1, 1)) == 1.0
    assert middle.style_cosine(unit(1, 0)) == pytest.approx(0.7071)
    assert middle.style_cosine(unit(-1, -1)) == -1.0
    assert middle.median_length == 5.0


def test_the_score_abstains_where_there_is_nothing_to_compare() -> None:
    """Too few texts, unknown texts, texts that cancel out, an unknown candidate."""
    zero = np.zeros(2, dtype=np.float32)
    nan = np.full(2, np.nan, dtype=np.float32)
    row = unit(1, 0)
    assert reference().style_cosine(row) is None
    assert reference().median_length is None
    assert reference(row).style_cosine(row) is None
    assert reference(row, zero).style_cosine(row) is None
    assert reference(row, nan).style_cosine(row) is None
    assert reference(row, -row).style_cosine(row) is None
    assert reference(row, row).style_cosine(zero) is None
    assert reference(row, row).style_cosine(nan) is None
    assert reference(row, row, nan).style_cosine(row) == 1.0


@given(st.lists(st.text(max_size=20), max_size=6), st.text(max_size=20))
def test_a_score_is_a_number_from_minus_one_to_one_or_nothing(
    texts: list[str], candidate: str
) -> None:
    """Whatever the texts hold."""
    embedder = ScriptedEmbedder()
    made = StyleReference.of(texts, embedder.encode(texts), min_texts=2)
    cosine = made.style_cosine(embedder.encode([candidate])[0])
    assert cosine is None or -1.0 <= cosine <= 1.0


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago() -> None:
    """Memory does not grow with the number of users."""
    cache = StyleCache(max_voices=2)
    one, two = reference(unit(1, 0)), reference(unit(0, 1))
    cache.put("one", one)
    cache.put("two", two)
    assert cache.get("one") is one
    cache.put("three", two)
    assert len(cache) == 2
    assert cache.get("two") is None
    assert cache.get("one") is one


def test_a_new_text_makes_a_new_name() -> None:
    """A reference of yesterday is never taken for today's; how texts are cut matters too."""
    texts = (("a", "b"), ("a",), ("ab",), ("b", "a"), ())
    voices = [Voice(owner="o", language="en", texts=each) for each in texts]
    voices.append(Voice(owner="p", language="en", texts=("a",)))
    voices.append(Voice(owner="o", language="ja", texts=("a",)))
    assert len({voice.name for voice in voices}) == 7
