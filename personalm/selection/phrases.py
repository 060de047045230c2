"""Words and phrases that an operator lists, found in a text word by word.

Case does not count, nor does what stands between the words. In scripts without spaces a character
is a word, so that a phrase is found wherever its characters stand in a row. A `*` at the end of a
phrase stands for any end of its last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def parse_phrases(texts: Iterable[str]) -> tuple[Phrase, ...]:
    """Read phrases, leaving out those without a word."""
    return tuple(phrase for phrase in map(Phrase.parse, texts) if phrase.words)
