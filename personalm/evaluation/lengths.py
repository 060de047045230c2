"""Lengths of texts in words, so that texts of equal length are compared.

Every score of style grows with length: two strangers' long texts are more alike than two short
ones. Two characters count as a word where a script has no spaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.selection.lengths import LENGTHS, length_bucket
from personalm.selection.words import UNSPACED_CHARACTER, WORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MIN_WORDS = 10
"""Shorter pools of texts say nothing about style, and are not scored."""

_GRID = (10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300)


def count_words(texts: Iterable[str]) -> float:
    """Return the number of words of some texts."""
    return sum(size for text in texts for _, size in _sizes(text))


def bucket_of(num_words: float) -> str:
    """Return the name of the bucket of a length."""
    return LENGTHS[length_bucket(int(num_words))]


def round_down(num_words: float) -> int:
    """Return the largest length at which texts are compared that is not above this one.

    0 where the text is too short to be compared.
    """
    return max((length for length in _GRID if length <= num_words), default=0)


def cut_texts(texts: Iterable[str], num_words: int) -> tuple[str, ...]:
    """Return the first `num_words` words of some texts, as texts; fewer where there are fewer."""
    kept: list[str] = []
    left = float(num_words)
    for text in texts:
        if left <= 0:
            break
        end = len(text)
        for end_of_word, size in _sizes(text):
            left -= size
            if left <= 0:
                end = end_of_word
                break
        kept.append(text[:end])
    return tuple(kept)


def take_pool(texts: Iterable[str], num_words: int) -> tuple[str, ...] | None:
    """Return exactly `num_words` words of some texts, None where there are not so many."""
    pool = cut_texts(texts, num_words)
    return pool if count_words(pool) >= num_words else None


def _sizes(text: str) -> Iterator[tuple[int, float]]:
    """Yield where each word ends, and what it counts."""
    for match in WORD.finditer(text.replace("’", "'")):
        yield match.end(), 0.5 if UNSPACED_CHARACTER.match(match.group()) else 1.0
