"""Retrieval: which of the user's own texts speak of the subject.

BM25 over one user's texts; no other user's text takes part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bm25s

from personalm.terms import split_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_TEXTS = 2_000
_MAX_CHARS = 2_000


def retrieve_texts(texts: Sequence[str], query: str, k: int) -> tuple[str, ...]:
    """Return the k texts nearest to the query, best first; fewer where fewer share a word with it.

    `texts` are in order of time, oldest first; ties go to the newer one, and a text that occurs
    twice is returned once. Of a long history only the newest 2,000 texts are looked at.
    """
    newest = list(dict.fromkeys(reversed(texts[-_MAX_TEXTS:])))
    if k < 1 or not newest or not query.strip():
        return ()
    *documents, asked = split_terms([text[:_MAX_CHARS] for text in [*newest, query]])
    known = {term for terms in documents for term in terms}
    wanted = sorted(known.intersection(asked))
    if not wanted:
        return ()
    index = bm25s.BM25()
    index.index(documents, create_empty_token=False, show_progress=False)
    scores = index.get_scores(wanted)
    ranked = sorted(range(len(newest)), key=lambda row: (-scores[row], row))
    return tuple(newest[row] for row in ranked[:k] if scores[row] > 0.0)
