"""Terms: a text as BM25 sees it, stemmed words without stop words.

Words have two letters or more; where a script has no spaces, overlapping pairs of characters stand
for words. Stop words and stems are English.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS

if TYPE_CHECKING:
    from collections.abc import Sequence

# bm25s tells every handler of each index it builds.
logging.getLogger("bm25s").setLevel(logging.WARNING)

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TERM = re.compile(rf"(?=([{_CJK}]{{2}}|(?<![^\W{_CJK}])[^\W{_CJK}]{{2,}}))")
_STOP_WORDS = frozenset(STOPWORDS_EN_PLUS)


def split_terms(texts: Sequence[str]) -> list[list[str]]:
    """Return the terms of each text, in order, as often as they occur."""
    # What bm25s.tokenize does, without the vocabulary that it builds for each few texts.
    words = [[w for w in _TERM.findall(text.lower()) if w not in _STOP_WORDS] for text in texts]
    stem = Stemmer.Stemmer("english").stemWords
    return [[term for term in stem(each) if term] for each in words]
