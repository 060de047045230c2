"""Content words of a text by their stems, to tell whether two texts share a topic."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise

import Stemmer

from personalm.selection.words import is_unspaced, split_words

_STOP_WORDS = frozenset(
    split_words(
        """a about above after again all also am an and any are aren't as at be because been before
    being below between both but by can can't cannot could couldn't did didn't do does doesn't
    doing don't down during each even ever few for from further get gets getting go goes going got
    had hadn't has hasn't have haven't having he he's her here hers herself him himself his how i
    i'd i'll i'm i've if in into is isn't it it's its itself just let's like made make many may me
    might more most much must my myself new no nor not now of off on once one only or other our
    ours ourselves out over own really same she she's should shouldn't so some such than that
    that's the their theirs them themselves then there there's these they they're this those
    through to too under until up upon us very was wasn't we we're were weren't what what's when
    where which while who whom why will with won't would wouldn't you you'd you'll you're you've
    your yours yourself yourselves"""
    )
)
_MIN_LETTERS = 2


# Candidates of one request are compared with the same texts one after the other.
@lru_cache(maxsize=32)
def content_stems(texts: tuple[str, ...], language: str) -> frozenset[str]:
    """Return the stems of the words of some texts that carry meaning.

    Without a stemmer for the language the words stand for themselves; in scripts without spaces
    pairs of characters do. `language` is an ISO code; stop words are known for English.
    """
    words = split_words("\n".join(texts))
    if is_unspaced(words):
        return frozenset(first + second for first, second in pairwise(words))
    content = [w for w in words if len(w) >= _MIN_LETTERS and w not in _STOP_WORDS]
    stemmer = _stemmer(language)
    return frozenset(stemmer.stemWords(content) if stemmer else content)


@cache
def _stemmer(language: str) -> Stemmer.Stemmer | None:
    try:
        return Stemmer.Stemmer(language)
    except KeyError:
        return None
