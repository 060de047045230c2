"""Masking: taking out of a text what tells its author without being style.

An address to a friend, a nick, a URL, a title or a rare word gives its writer away at once, and a
model repeats it from the prompt. What is left is how common words are used, punctuation and case.
The method is text distortion (Stamatatos 2018), with one mark for a word of any length.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from personalm.selection.words import WORD, split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MARK = "*"
"""What stands for a word that was taken out; digits become `#`."""

_KEPT_SHARE = 0.2
_MIN_WRITERS = 3
_MIN_SIGNED = 3
_SIGNED_SHARE = 0.2
_MAX_SIGNATURE = 4

# A text may be one word of the greatest length: whatever may be long starts where a word does.
_CODE = re.compile(
    r"https?://\S+|www\.\S+|(?<!\S)\S[^\s@]*@\S+\.\S+"  # addresses of the net
    r"|(?<!\S)[/~$#!][\w/.-]\S*"  # paths, commands to a program or a bot
    r"|(?<!\S)\S*\w[/\\_=<>|]+\w\S*"  # file names, settings, names in a program
    r"|(?<!\S)-{1,2}[a-z][\w-]*",  # options of a command
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"^\s*@?([^\s:,]{2,24})\s?[:,](?=\s)")
_MENTION = re.compile(r"(?<!\w)@\w+")


class Masker:
    """Masks texts; which words are common it has learned from people who are not compared."""

    def __init__(
        self, kept: frozenset[str], *, names: Iterable[str] = (), titles: Iterable[str] = ()
    ) -> None:
        """Take the common words, the names of people, and the titles of items."""
        self._kept = kept
        self._names = frozenset(word for name in names for word in split_words(name))
        self._titles: dict[str, list[tuple[str, ...]]] = {}
        for title in titles:
            words = split_words(title)
            if words:
                self._titles.setdefault(words[0], []).append(words)

    @classmethod
    def of(
        cls,
        background: Sequence[Sequence[str]],
        *,
        names: Iterable[str] = (),
        titles: Iterable[str] = (),
    ) -> Masker:
        """Keep the words that a fifth of the background's people write, three at the least."""
        writers: Counter[str] = Counter()
        for texts in background:
            writers.update({word for text in texts for word in split_words(_strip(text))})
        least = max(_MIN_WRITERS, _KEPT_SHARE * len(background))
        kept = frozenset(word for word, number in writers.items() if number >= least)
        return cls(kept, names=names, titles=titles)

    @property
    def num_kept(self) -> int:
        """Number of words that stay."""
        return len(self._kept)

    def mask(self, text: str, *, signatures: Iterable[tuple[str, ...]] = ()) -> str:
        """Return a text whose rare words, names, titles, code and signatures are marks."""
        text = _CODE.sub(MARK, _MENTION.sub(MARK, text.replace("’", "'")))
        matches = list(WORD.finditer(text))
        words = [_fold(match.group()) for match in matches]
        hidden = self._find_hidden(words, signatures)
        address = _ADDRESS.match(text)
        pieces, end = [], 0
        for place, match in enumerate(matches):
            pieces.append(text[end : match.start()])
            is_address = address is not None and match.end() <= address.end(1)
            is_hidden = place in hidden or (is_address and words[place] not in self._kept)
            pieces.append(_mark(match.group()) if is_hidden else match.group())
            end = match.end()
        return "".join((*pieces, text[end:]))

    def _find_hidden(
        self, words: Sequence[str], signatures: Iterable[tuple[str, ...]]
    ) -> frozenset[int]:
        hidden = {
            place
            for place, word in enumerate(words)
            if word not in self._kept or word in self._names or word.isdigit()
        }
        for place, word in enumerate(words):
            for title in self._titles.get(word, ()):
                if tuple(words[place : place + len(title)]) == title:
                    hidden.update(range(place, place + len(title)))
        for signature in signatures:
            start = len(words) - len(signature)
            if start >= 0 and tuple(words[start:]) == signature:
                hidden.update(range(start, len(words)))
        return frozenset(hidden)


def find_signatures(texts: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """Return the runs of two to four words that a fifth of somebody's texts end with."""
    endings: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = split_words(text)
        for size in range(2, _MAX_SIGNATURE + 1):
            if len(words) > size:
                endings[words[-size:]] += 1
    least = max(_MIN_SIGNED, _SIGNED_SHARE * len(texts))
    return frozenset(ending for ending, number in endings.items() if number >= least)


def _strip(text: str) -> str:
    """Return a text without what is masked wherever it stands."""
    return _CODE.sub(" ", _MENTION.sub(" ", _ADDRESS.sub(" ", text.replace("’", "'"))))


def _fold(word: str) -> str:
    return "".join(split_words(word))


def _mark(word: str) -> str:
    return "#" if any(character.isdigit() for character in word) else MARK
