"""A headline for a text: what it is about, in two or three of its own words.

A prompt that shows a user's texts under such headlines teaches the model that a text follows its
topic. Knows no language but English stop words; a text without spaces has no headline.
"""

from __future__ import annotations

import re

from bm25s.stopwords import STOPWORDS_EN_PLUS

_WORD = re.compile(r"[^\W\d_][^\W\d_'’-]*[^\W\d_]")
_STOP_WORDS = frozenset(STOPWORDS_EN_PLUS) | frozenset(
    """am around asked ate away back big bought came come day days did didn't don't down even ever
    every everyone far felt find first found get gets give given go goes going gone good got great
    half i'm it's just keep kept know last left let like little long look made make many maybe me
    morning much my myself need new next nice nobody nothing now off old one only people put quite
    really right said saw say see she some someone something still sure take than thank thanks that
    their them then there these they thing things think this those three time today tomorrow tonight
    took turn two until used very want was way week well went what when which who will with without
    work works would year years yes yesterday yet you your""".split()  # noqa: SIM905 - reads better
)
_MIN_LETTERS = 3
_MAX_WORDS = 2


def headline_of(text: str) -> str:
    """Return one or two words of a text, in its order: the longest ones that carry meaning.

    Longer words are rarer, and rarer ones say more. "" where there is none.
    """
    words = [w for w in _WORD.findall(text) if len(w) >= _MIN_LETTERS and _is_content(w)]
    places = sorted(range(len(words)), key=lambda place: (-len(words[place]), place))
    chosen: list[int] = []
    for place in places:
        if all(words[place].casefold() != words[other].casefold() for other in chosen):
            chosen.append(place)
        if len(chosen) == _MAX_WORDS:
            break
    return " and ".join(words[place].casefold() for place in sorted(chosen))


def _is_content(word: str) -> bool:
    return word.casefold().replace("’", "'") not in _STOP_WORDS
