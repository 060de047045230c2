"""Terms: a text as BM25 sees it, stemmed words without stop words.

Words have two letters or more; where a script has no spaces, overlapping pairs of characters stand
for words. Stop words and stems are English.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import bm25s
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS

if TYPE_CHECKING:
    from collections.abc import Sequence

# bm25s tells every handler of each index it builds.
logging.getLogger("bm25s").setLevel(logging.WARNING)

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TERM = rf"(?=([{_CJK}]{{2}}|(?<![^\W{_CJK}])[^\W{_CJK}]{{2,}}))"


def split_terms(texts: Sequence[str]) -> list[list[str]]:
    """Return the terms of each text, in order, as often as they occur."""
    found: list[list[str]] = bm25s.tokenize(
        list(texts),
        token_pattern=_TERM,
        stopwords=list(STOPWORDS_EN_PLUS),
        stemmer=Stemmer.Stemmer("english"),
        return_ids=False,
        show_progress=False,
        allow_empty=False,
    )
    # bm25s has an empty word of its own, which no index knows.
    return [[term for term in terms if term] for terms in found]
