"""Long runs of words that two texts share."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from personalm.selection.words import is_unspaced, split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MIN_RUN = 4
"""Courtesies of up to three words are a habit and no copy."""

_SHORT_SHARE = 0.8
# A word of English is about two characters of Chinese or Japanese.
_CHARACTERS_PER_WORD = 2
_MAX_WORDS = 200_000


def run_length(words: tuple[str, ...], limit: int) -> int:
    """Return how long a run of words must be to betray where a text was taken from.

    More than `limit` words, or four fifths of a short text; twice as many where characters stand
    for words.
    """
    scale = _CHARACTERS_PER_WORD if is_unspaced(words) else 1
    short = max(MIN_RUN * scale, math.ceil(_SHORT_SHARE * len(words)))
    return min(limit * scale + 1, short)


def runs(words: Sequence[str], length: int) -> Iterable[int]:
    """Yield the hash of each run of `length` words; good within one process only."""
    shifted = (words[start:] for start in range(length))
    return map(hash, zip(*shifted, strict=False))


class Runs:
    """The runs of words of a few sets of texts, kept for the candidates that follow.

    Of a large set the newest 200,000 words count: texts are given oldest first.
    """

    def __init__(self, *, num_kept: int = 16) -> None:
        self._collect = lru_cache(maxsize=num_kept)(self._collect_anew)
        self._words = lru_cache(maxsize=2)(_newest_words)

    def of(self, texts: tuple[str, ...], length: int) -> frozenset[int]:
        """Return the runs of `length` words of all texts; none reaches from text to text."""
        return self._collect(texts, length)

    def share(self, texts: tuple[str, ...], words: Sequence[str], length: int) -> bool:
        """Tell whether a run of `length` of the words stands in one of the texts."""
        short = min(length, MIN_RUN)
        # Most texts share no run at all, which their shortest runs tell: one set for all lengths.
        if self.of(texts, short).isdisjoint(runs(words, short)):
            return False
        return not self.of(texts, length).isdisjoint(runs(words, length))

    def _collect_anew(self, texts: tuple[str, ...], length: int) -> frozenset[int]:
        return frozenset(run for words in self._words(texts) for run in runs(words, length))


def _newest_words(texts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the words of each text, newest first, as far as they count."""
    found = []
    num_words = 0
    for text in reversed(texts):
        words = split_words(text)
        found.append(words)
        num_words += len(words)
        if num_words >= _MAX_WORDS:
            break
    return tuple(found)


def find(run: Sequence[str], words: Sequence[str]) -> int:
    """Return where `run` starts within `words`, -1 where it does not occur."""
    size = len(run)
    if not size:
        return -1
    for start in range(len(words) - size + 1):
        if words[start : start + size] == run:
            return start
    return -1
