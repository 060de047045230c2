"""Samples of a user's writing that show its style: typical ones, and no two alike.

Texts chosen by topic repeat each other's manner; samples are chosen to differ instead.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    Grams: TypeAlias = frozenset[tuple[str, ...]]

_MAX_TEXTS = 200
_MAX_CHARS = 600
_GOOD_CHARS = range(20, 301)
_MIN_LETTER_SHARE = 0.6
_TWIN = 0.5  # more of the trigrams in common than this: the same text, told twice
_NO_PROSE = re.compile(r"https?://|www\.|^\s*[!/$#<|]", re.IGNORECASE)


def sample_styles(
    texts: Sequence[str], k: int, *, exclude: Collection[str] = ()
) -> tuple[str, ...]:
    """Return up to k texts that differ from each other, the most typical one first.

    `texts` are in order of time, oldest first; the newest 200 are looked at. Prose of 20 to 300
    characters is preferred, other texts only fill up. Texts of `exclude` and near-duplicates of
    what is chosen are never returned.
    """
    excluded = set(exclude)
    newest = list(dict.fromkeys(text for text in reversed(texts) if text.strip()))[:_MAX_TEXTS]
    left = [text for text in newest if text not in excluded]
    good = [text for text in left if _is_good(text)]
    others = set(left).difference(good)
    other = [text for text in left if text in others]
    # What is excluded is shown elsewhere: its twins would be no news either.
    taken = [_grams(text) for text in newest if text in excluded]
    chosen: list[str] = []
    for pool in (good, other):
        chosen.extend(_spread(pool, k - len(chosen), taken))
    return tuple(chosen)


def sample_newest(
    texts: Sequence[str], k: int, *, exclude: Collection[str] = ()
) -> tuple[str, ...]:
    """Return up to k texts, the newest one first, whatever they are like.

    `texts` are in order of time, oldest first; a text that occurs twice is returned once, one of
    `exclude` never.
    """
    excluded = set(exclude)
    newest = dict.fromkeys(text for text in reversed(texts) if text.strip())
    return tuple(text for text in newest if text not in excluded)[: max(k, 0)]


def _spread(texts: Sequence[str], k: int, taken: list[Grams]) -> list[str]:
    """Choose k texts, each as far as can be from all before it; note their trigrams in `taken`."""
    if k < 1 or not texts:
        return []
    grams = [_grams(text) for text in texts]
    nearness = [max((_overlap(g, t) for t in taken), default=0.0) for g in grams]
    typical = _typicality(grams)
    chosen: list[str] = []
    while len(chosen) < k:
        free = [row for row in range(len(texts)) if nearness[row] <= _TWIN]
        if not free:
            break
        if chosen:
            row = min(free, key=lambda row: (nearness[row], -typical[row], row))
        else:
            row = min(free, key=lambda row: (-typical[row], row))
        chosen.append(texts[row])
        taken.append(grams[row])
        nearness = [max(n, _overlap(g, grams[row])) for n, g in zip(nearness, grams, strict=True)]
    return chosen


def _is_good(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    is_prose = letters >= _MIN_LETTER_SHARE * len(text) and not _NO_PROSE.search(text)
    return is_prose and len(text.strip()) in _GOOD_CHARS


def _grams(text: str) -> Grams:
    """Return the trigrams of characters; a text shorter than that stands for itself."""
    folded = " ".join(text[:_MAX_CHARS].lower().split())
    return frozenset(zip(folded, folded[1:], folded[2:], strict=False)) or frozenset({(folded,)})


def _overlap(one: Grams, other: Grams) -> float:
    """Return the Jaccard similarity of two sets."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _typicality(grams: Sequence[Grams]) -> list[float]:
    """Say of each text in how many of the texts its trigrams occur, on average."""
    spread = Counter(gram for each in grams for gram in each)
    return [sum(map(spread.__getitem__, each)) / len(each) for each in grams]
