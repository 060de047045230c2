"""Laws of lengths: texts are compared at equal length, in every script."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from personalm.evaluation.lengths import (
    MIN_WORDS,
    bucket_of,
    count_words,
    cut_texts,
    round_down,
    take_pool,
)

texts = st.lists(st.text("abc 'é水の。,🙂\n", max_size=30), max_size=8)


@given(texts, st.integers(1, 40))
def test_a_cut_is_the_beginning_and_has_so_many_words(written: list[str], num_words: int) -> None:
    """No less than asked for where there is enough, and at most half a word more."""
    kept = cut_texts(written, num_words)

    for text, whole in zip(kept, written, strict=False):
        assert whole.startswith(text)
    there = count_words(written)
    assert min(there, num_words) <= count_words(kept) <= num_words + 0.5
    assert (take_pool(written, num_words) is not None) == (there >= num_words)


def test_two_characters_are_a_word_where_there_are_no_spaces() -> None:
    """A Japanese text is compared with one that says as much."""
    assert count_words(["水曜日は雨"]) == 2.5
    assert count_words(["it's raining, again"]) == 3
    assert cut_texts(["水曜日は雨です"], 2) == ("水曜日は",)


def test_what_is_compared_is_on_a_few_lengths() -> None:
    """So that strangers need be scored at those alone; too little is not compared at all."""
    assert [round_down(n) for n in (MIN_WORDS - 1, MIN_WORDS, 47, 5_000)] == [0, MIN_WORDS, 40, 300]


def test_buckets_have_the_lengths_of_their_names() -> None:
    """The edges belong to the longer bucket."""
    assert [bucket_of(n) for n in (0, 24.5, 25, 50, 99, 100, 299, 300, 9_000)] == [
        *("<25", "<25", "25-49", "50-99", "50-99", "100-299", "100-299", "300+", "300+")
    ]
