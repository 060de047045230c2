"""The catalogue: finds an item by its id, or the unseen item nearest to a user's interests.

The choice follows from the items and this one user's profile, never from other users.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import bm25s
import numpy as np

from personalm.hashing import digest, user_digest
from personalm.terms import split_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from personalm.records import Item, Profile

    Marks: TypeAlias = NDArray[np.uint64]

_MAX_TEXTS = 50
_MAX_LIKED = 100
_MAX_WEIGHT = 8


class Catalogue:
    """All items, and a BM25 index over their words that is built when it is first asked."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = tuple(items)
        self._rows = {item.item_id: row for row, item in enumerate(self._items)}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in the order of the table."""
        return self._items

    def get(self, item_id: str) -> Item | None:
        """Return the item of this id, or None."""
        row = self._rows.get(item_id)
        return None if row is None else self._items[row]

    def choose(self, profile: Profile) -> Item | None:
        """Return an item the user has not met, nearest to what the user likes and writes.

        Ties go to the item that stands first. A user of no known interest gets an item by a hash
        of user and item, so that such users do not all get the same. None where the user has met
        every item.
        """
        met = {i.item_id for i in profile.interactions if i.item_id is not None}
        rows = [self._rows[item_id] for item_id in met if item_id in self._rows]
        if len(rows) == len(self._items):
            return None
        scores = self._score(profile)
        scores[rows] = -1.0
        if scores.max() > 0.0:
            return self._items[int(scores.argmax())]
        marks = _mix(self._marks ^ np.uint64(int(user_digest(profile.user_id)[:16], 16)))
        marks[rows] = np.iinfo(np.uint64).max
        return self._items[int(marks.argmin())]

    def _score(self, profile: Profile) -> NDArray[np.float32]:
        """Score all items by the words of the user's liked items and newest texts."""
        scores = np.zeros(len(self._items), dtype=np.float32)
        index = self._index
        liked = [self._rows[item_id] for item_id in _liked(profile) if item_id in self._rows]
        texts = [_words_of(self._items[row]) for row in liked[-_MAX_LIKED:]]
        texts.extend(profile.texts[-_MAX_TEXTS:])
        if index is None or not texts:
            return scores
        weights = Counter(t for terms in split_terms(texts) for t in terms if t in index.vocab_dict)
        # A word counts as often as the user has it, up to a limit: without one, a word that is
        # in every liked item would outweigh all that tells them apart.
        for weight in range(1, _MAX_WEIGHT + 1):
            terms = sorted(t for t, n in weights.items() if min(n, _MAX_WEIGHT) == weight)
            if terms:
                scores += weight * index.get_scores(terms)
        return scores

    @cached_property
    def _index(self) -> bm25s.BM25 | None:
        terms = split_terms([_words_of(item) for item in self._items])
        if not any(terms):
            return None
        index = bm25s.BM25()
        index.index(terms, create_empty_token=False, show_progress=False)
        return index

    @cached_property
    def _marks(self) -> Marks:
        marks = [int(digest(item.item_id)[:16], 16) for item in self._items]
        return np.array(marks, dtype=np.uint64)


def _liked(profile: Profile) -> list[str]:
    """Return the items rated at or above the user's own mean, and those met without a rating."""
    ratings = [i.rating for i in profile.interactions if i.rating is not None and i.item_id]
    mean = sum(ratings) / len(ratings) if ratings else 0.0
    liked = (
        i.item_id
        for i in profile.interactions
        if i.item_id is not None and (i.rating is None or i.rating >= mean)
    )
    return list(dict.fromkeys(liked))


def _words_of(item: Item) -> str:
    words = [item.title, item.description or ""]
    for fact in item.facts.values():
        if isinstance(fact, str):
            words.append(fact)
        elif isinstance(fact, tuple):
            words.extend(fact)
    return "\n".join(words)


def _mix(values: Marks) -> Marks:
    """Spread 64 bits evenly (the finaliser of SplitMix64); products wrap around on purpose."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
