"""Hashes of runs of words, the same in every process and version, as 64 bits.

A run is hashed as the sum of its words' hashes, each multiplied by an odd number of its place,
and mixed once more (the finaliser of SplitMix64). In scripts without spaces a run has twice as
many characters as it would have words.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from personalm.selection.words import is_unspaced, split_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_CHARACTERS_PER_WORD = 2
_WORD_BYTES = 8


def grams_of(texts: Iterable[str], num_words: int) -> NDArray[np.uint64]:
    """Return the hash of each run of `num_words` words, once, in order. None reaches over texts."""
    found = [_grams(words, num_words) for words in map(split_words, texts)]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)


def _grams(words: tuple[str, ...], num_words: int) -> NDArray[np.uint64]:
    size = num_words * (_CHARACTERS_PER_WORD if is_unspaced(words) else 1)
    num_grams = len(words) - size + 1
    if num_grams < 1:
        return np.zeros(0, np.uint64)
    hashes = np.fromiter(map(_hash_word, words), np.uint64, len(words))
    places = _places(size)
    total = np.zeros(num_grams, np.uint64)
    for place in range(size):
        total += hashes[place : place + num_grams] * places[place]
    return _mix(total)


@lru_cache(maxsize=1 << 16)
def _hash_word(word: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(word.encode(), digest_size=_WORD_BYTES).digest(), "little"
    )


@lru_cache(maxsize=8)
def _places(size: int) -> NDArray[np.uint64]:
    """Return an odd number for each place of a run."""
    numbers = _mix(np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return numbers | np.uint64(1)


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
