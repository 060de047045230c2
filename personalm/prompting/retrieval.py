"""Retrieval: which of the user's own texts speak of the subject.

BM25 over one user's texts; no other user's text takes part.
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

_MAX_TEXTS = 2_000
_MAX_CHARS = 2_000
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
# Words of two letters or more; two characters, overlapping, where there are no spaces.
_TERM = rf"(?=([{_CJK}]{{2}}|(?<![^\W{_CJK}])[^\W{_CJK}]{{2,}}))"


def retrieve_texts(texts: Sequence[str], query: str, k: int) -> tuple[str, ...]:
    """Return the k texts nearest to the query, best first; fewer where fewer share a word with it.

    `texts` are in order of time, oldest first; ties go to the newer one, and a text that occurs
    twice is returned once. Of a long history only the newest 2,000 texts are looked at.
    """
    newest = list(dict.fromkeys(reversed(texts[-_MAX_TEXTS:])))
    if k < 1 or not newest or not query.strip():
        return ()
    *documents, asked = _terms([text[:_MAX_CHARS] for text in [*newest, query]])
    known = {term for terms in documents for term in terms}
    wanted = sorted(known.intersection(asked))
    if not wanted:
        return ()
    index = bm25s.BM25()
    index.index(documents, create_empty_token=False, show_progress=False)
    scores = index.get_scores(wanted)
    ranked = sorted(range(len(newest)), key=lambda row: (-scores[row], row))
    return tuple(newest[row] for row in ranked[:k] if scores[row] > 0.0)


def _terms(texts: list[str]) -> list[list[str]]:
    """Cut texts into stemmed words without stop words."""
    found: list[list[str]] = bm25s.tokenize(
        texts,
        token_pattern=_TERM,
        stopwords=list(STOPWORDS_EN_PLUS),
        stemmer=Stemmer.Stemmer("english"),
        return_ids=False,
        show_progress=False,
        allow_empty=False,
    )
    # bm25s has an empty word of its own, which no index knows.
    return [[term for term in terms if term] for terms in found]
