"""Impostors: texts of strangers that a voice is measured against, as rows without the texts.

A pool is made once and used until it is made anew. It holds a few texts of each of a few hundred
people, of every length they write, and nothing of anybody who opted out. What several of them
wrote in the same words is boilerplate, and nobody's style.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from personalm.discreet import Discreet
from personalm.hashing import digest
from personalm.selection.lengths import length_bucket, measure_length
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray

MAX_AUTHORS = 500
MAX_TEXTS_A_LENGTH = 2
"""Of each of so many people, so many texts of each length: 5,000 rows at the most."""

MAX_TEXTS_READ = 64
MAX_CHARS = 4_000
"""Of an author so many of the newest texts that are no longer than this are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Author(Discreet):
    """Somebody whose texts may become impostors; `owner` is the digest of the user's id."""

    owner: str
    language: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Impostor(Discreet):
    """One text that was chosen."""

    owner: str
    language: str
    text: str
    num_words: int


# No slots here and below: what follows from the rows is worked out once, and not for each voice.
@dataclass(frozen=True, kw_only=True, eq=False)
class Strangers:
    """Rows of strangers' texts, and which length each of them has."""

    rows: NDArray[np.float32]
    buckets: NDArray[np.int64]

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """Mean of the rows. *Shape:* (columns,)."""
        return self.rows.mean(axis=0)

    @cached_property
    def spread(self) -> NDArray[np.float32]:
        """Standard deviation of each column. *Shape:* (columns,)."""
        return self.rows.std(axis=0)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Impostors(Discreet):
    """The pool: a row for each text, whose it is, in which language, and of how many words.

    `digest` is that of the whole pool.
    """

    rows: NDArray[np.float32]
    owners: tuple[str, ...]
    languages: tuple[str, ...]
    num_words: tuple[int, ...]
    digest: str

    def strangers_to(self, owner: str, language: str) -> Strangers:
        """Return the rows of one language, without those of a user, if any are theirs."""
        if owner in self._owners:
            return self._choose(language, without=owner)
        if language not in self._of_language:
            self._of_language[language] = self._choose(language)
        return self._of_language[language]

    @cached_property
    def _owners(self) -> frozenset[str]:
        return frozenset(self.owners)

    @cached_property
    def _of_language(self) -> dict[str, Strangers]:
        return {}

    def _choose(self, language: str, *, without: str | None = None) -> Strangers:
        chosen = [
            place
            for place, (whose, spoken) in enumerate(zip(self.owners, self.languages, strict=True))
            if whose != without and spoken == language
        ]
        buckets = [length_bucket(self.num_words[place]) for place in chosen]
        return Strangers(rows=self.rows[chosen], buckets=np.array(buckets, dtype=np.int64))


def choose_impostors(
    authors: Sequence[Author], *, min_words: int, min_impostors: int
) -> tuple[Impostor, ...]:
    """Choose the texts of a pool; none where they are too few of any one length and language.

    Which texts of somebody are chosen follows from the hash of the texts, and not from who else
    is there, but for what is shared with others.
    """
    told_by: dict[str, set[str]] = defaultdict(set)
    for author in authors:
        for text in author.texts:
            told_by[_wording(text)].add(author.owner)
    chosen = [
        each
        for author in authors
        for each in _choose(
            author, min_words, is_shared=lambda text: len(told_by[_wording(text)]) > 1
        )
    ]
    sizes = Counter((each.language, length_bucket(each.num_words)) for each in chosen)
    is_enough = max(sizes.values(), default=0) > min_impostors
    return tuple(chosen) if is_enough else ()


def _choose(
    author: Author, min_words: int, *, is_shared: Callable[[str], bool]
) -> Iterator[Impostor]:
    taken: Counter[int] = Counter()
    seen: set[str] = set()
    for text in sorted(_newest(author.texts), key=digest):
        num_words = measure_length(text)
        bucket = length_bucket(num_words)
        wording = _wording(text)
        if num_words < min_words or taken[bucket] == MAX_TEXTS_A_LENGTH or wording in seen:
            continue
        if not is_shared(text):
            taken[bucket] += 1
            seen.add(wording)
            yield Impostor(
                owner=author.owner, language=author.language, text=text, num_words=num_words
            )


def _newest(texts: Collection[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if len(text) <= MAX_CHARS))[-MAX_TEXTS_READ:]


def _wording(text: str) -> str:
    return digest(split_words(text))
