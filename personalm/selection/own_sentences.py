"""Whole sentences that somebody has said once.

A sentence that is said again word for word is a copy, however short a run of words it is; one that
its writer has used in several texts is a habit: a greeting, a sign-off, a brand's promise.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from personalm.selection.overlap import find
from personalm.selection.sentences import split_sentences
from personalm.selection.words import is_unspaced, split_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    Words = tuple[str, ...]

# Courtesies of Chinese and Japanese have up to fifteen characters.
_CHARACTERS_PER_WORD = 4


class OwnSentences:
    """The sentences of a few sets of texts, kept for the candidates that follow."""

    def __init__(self, limit: int, *, num_kept: int = 16) -> None:
        """Sentences of up to `limit` words are anybody's; four characters stand for a word."""
        self._limit = limit
        self._said_once = lru_cache(maxsize=num_kept)(self._find_said_once)

    def are_repeated_by(self, text: str, texts: tuple[str, ...], *, title: Words = ()) -> bool:
        """Tell whether the text says again what stands in exactly one of the texts.

        Words of the item's title do not count: to name it is to quote it.
        """
        return not self._said_once(texts).isdisjoint(self._long_sentences(text, title))

    def _find_said_once(self, texts: tuple[str, ...]) -> frozenset[int]:
        counts = Counter(words for text in texts for words in set(self._long_sentences(text)))
        return frozenset(words for words, number in counts.items() if number == 1)

    def _long_sentences(self, text: str, title: Words = ()) -> Iterator[int]:
        """Yield a hash of each sentence that is long enough; good within one process only."""
        for sentence in split_sentences(text):
            words = split_words(sentence)
            scale = _CHARACTERS_PER_WORD if is_unspaced(words) else 1
            num_quoted = len(title) if find(title, words) >= 0 else 0
            if len(words) - num_quoted > self._limit * scale:
                yield hash(words)
