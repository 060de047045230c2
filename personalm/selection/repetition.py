"""Signs that a model ran in circles: the same words, sentences or characters over and over."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from personalm.selection.sentences import split_sentences
from personalm.selection.words import is_unspaced, split_words

_CHARACTERS = re.compile(r"([^\W_]{1,8}?)\1{24,}|([^\w\s]{1,4}?)\2{39,}")
# Words of one stretch, and how often it may stand there one after the other before it is a loop.
_STRETCHES = {1: 8, 2: 5, 3: 4, 4: 3, 5: 3, 6: 2, 7: 2, 8: 2}
_SENTENCE_WORDS = 3
_GRAM_WORDS = 4
_GRAM_TIMES = 3
_LONG_GRAM_WORDS = 8
# Below this share of different words a text of at least so many words goes round.
_WINDOW_WORDS = 100
_MIN_WINDOW_WORDS = 20
_DISTINCT_SHARE = 0.35
# Characters that stand for words come back sooner than words do.
_CHARACTER_SHARE = 0.2
_CHARACTER_SCALE = 3


def is_loop(text: str) -> bool:
    """Tell whether a text repeats itself as no writer does."""
    words = split_words(text)
    scale = _CHARACTER_SCALE if is_unspaced(words) else 1
    return (
        _CHARACTERS.search(text) is not None
        or _has_stutter(words, scale)
        or _max_count(words, _GRAM_WORDS * scale) >= _GRAM_TIMES
        or _max_count(words, _LONG_GRAM_WORDS * scale) > 1
        or _repeats_sentence(text, _SENTENCE_WORDS * scale)
        or _is_poor(words, _CHARACTER_SHARE if scale > 1 else _DISTINCT_SHARE)
    )


def _has_stutter(words: tuple[str, ...], scale: int) -> bool:
    """Find a stretch of words that stands several times in a row."""
    for size, times in _STRETCHES.items():
        num_same = 0
        for word, later in zip(words, words[size:], strict=False):
            num_same = num_same + 1 if word == later else 0
            if num_same >= size * (times * scale - 1):
                return True
    return False


def _max_count(words: tuple[str, ...], size: int) -> int:
    """Return how often the commonest run of `size` words occurs, without overlaps of its own."""
    seen: Counter[tuple[str, ...]] = Counter()
    last: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - size + 1):
        run = words[start : start + size]
        if start - last.get(run, -size) >= size:
            seen[run] += 1
            last[run] = start
    return max(seen.values(), default=0)


def _repeats_sentence(text: str, min_words: int) -> bool:
    sentences = [split_words(sentence) for sentence in split_sentences(text)]
    long = sorted(words for words in sentences if len(words) >= min_words)
    return any(one == other for one, other in pairwise(long))


def _is_poor(words: tuple[str, ...], share: float) -> bool:
    window = words[-_WINDOW_WORDS:]
    return len(window) >= _MIN_WINDOW_WORDS and len(set(window)) < share * len(window)
