"""Words and phrases that an operator lists, found in a text word by word.

Case does not count, nor does what stands between the words. In scripts without spaces a character
is a word, so that a phrase is found wherever its characters stand in a row. A `*` at the end of a
phrase stands for any end of its last word.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Some words in a row; of the last one perhaps only its start."""

    words: tuple[str, ...]
    is_open: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a phrase as it stands in the settings."""
        return cls(words=split_words(text), is_open=text.rstrip().endswith("*"))

    def stands_in(self, words: tuple[str, ...]) -> bool:
        """Tell whether the phrase is among the words of a text; one without words never is."""
        size = len(self.words)
        if not size:
            return False
        *first, last = self.words
        for start in range(len(words) - size + 1):
            end = words[start + size - 1]
            is_last = end.startswith(last) if self.is_open else end == last
            if is_last and list(words[start : start + size - 1]) == first:
                return True
        return False


class Phrases:
    """Phrases that are looked for together: a text is gone through once, however many they are."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Read phrases, leaving out those without a word."""
        self._all = tuple(phrase for phrase in map(Phrase.parse, texts) if phrase.words)
        self._closed: dict[str, list[Phrase]] = defaultdict(list)
        for phrase in self._all:
            if not phrase.is_open:
                self._closed[phrase.words[-1]].append(phrase)
        self._open = tuple(phrase for phrase in self._all if phrase.is_open)
        self._stems = tuple(phrase.words[-1] for phrase in self._open)

    def is_any_in(self, words: tuple[str, ...], *, but_not_in: tuple[str, ...] = ()) -> bool:
        """Tell whether one of the phrases is among the words of a text.

        Those that are among the words of another one do not count.
        """
        return any(
            phrase.stands_in(words) and not phrase.stands_in(but_not_in)
            for phrase in self._likely(words)
        )

    def are_all_in(self, words: tuple[str, ...]) -> bool:
        """Tell whether each of the phrases is among the words of a text."""
        return all(phrase.stands_in(words) for phrase in self._all)

    def _likely(self, words: tuple[str, ...]) -> Iterator[Phrase]:
        """Yield the phrases whose last word is there."""
        there = set(words)
        for word in self._closed.keys() & there:
            yield from self._closed[word]
        if self._stems and any(word.startswith(self._stems) for word in there):
            yield from self._open


# A kind's phrases come with each of its candidates.
@lru_cache(maxsize=64)
def phrases_of(texts: tuple[str, ...]) -> Phrases:
    """Return the phrases of a kind, read once."""
    return Phrases(texts)
