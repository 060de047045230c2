"""Lengths of texts, in five buckets: only texts of about the same length can be compared.

Any measure of style sees more in a longer text, whoever wrote it.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from personalm.selection.words import UNSPACED_CHARACTER, is_unspaced_word, split_words

LENGTHS = ("<25", "25-49", "50-99", "100-299", "300+")
"""Names of the buckets, in words."""

_BOUNDS = (25, 50, 100, 300)
# A word of English is about two characters of Chinese or Japanese.
_CHARACTERS_PER_WORD = 2


def measure_length(text: str) -> int:
    """Return the length of a text in words; two characters of a script without spaces are one."""
    words = split_words(text)
    if not UNSPACED_CHARACTER.search("".join(words)):
        return len(words)
    num_characters = sum(map(is_unspaced_word, words))
    return len(words) - num_characters + math.ceil(num_characters / _CHARACTERS_PER_WORD)


def length_bucket(num_words: int) -> int:
    """Return the place of a length among `LENGTHS`."""
    return bisect_right(_BOUNDS, num_words)
