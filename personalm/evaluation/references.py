"""Overlap with reference texts: content, not style.

ROUGE-1 and ROUGE-L as F-scores (Lin 2004); METEOR with exact matches alone (Banerjee and Lavie
2005), because stems and synonyms would need a dictionary for each language.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Sequence


def rouge_1(text: str, reference: str) -> float:
    """Return the F-score of the words that two texts have in common, 0 to 1."""
    words, wanted = split_words(text), split_words(reference)
    return _f_score((Counter(words) & Counter(wanted)).total(), len(words), len(wanted))


def rouge_l(text: str, reference: str) -> float:
    """Return the F-score of the longest common subsequence of words, 0 to 1."""
    words, wanted = split_words(text), split_words(reference)
    return _f_score(_longest_common(words, wanted), len(words), len(wanted))


def meteor(text: str, reference: str) -> float:
    """Return METEOR of exact matches, 0 to 1: recall counts nine times, broken order costs half."""
    words, wanted = split_words(text), split_words(reference)
    places = _align(words, wanted)
    if not places:
        return 0.0
    precision, recall = len(places) / len(words), len(places) / len(wanted)
    mean = 10 * precision * recall / (recall + 9 * precision)
    num_chunks = 1 + sum(
        (later[0] - earlier[0], later[1] - earlier[1]) != (1, 1)
        for earlier, later in pairwise(places)
    )
    return mean * (1 - 0.5 * (num_chunks / len(places)) ** 3)


def _f_score(num_common: int, num_words: int, num_wanted: int) -> float:
    return 2 * num_common / (num_words + num_wanted) if num_common else 0.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for place, candidate in enumerate(other, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == candidate else max(above, row[place - 1])
            diagonal = above
    return row[-1]


def _align(words: Sequence[str], wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of places that hold one word, each place once, preferring to go on in a row."""
    free: dict[str, list[int]] = {}
    for place, word in enumerate(wanted):
        free.setdefault(word, []).append(place)
    pairs: list[tuple[int, int]] = []
    for place, word in enumerate(words):
        left = free.get(word)
        if left:
            next_one = pairs[-1][1] + 1 if pairs else 0
            taken = next_one if next_one in left else left[0]
            left.remove(taken)
            pairs.append((place, taken))
    return pairs
