"""Near-duplicates: texts that share most of their letter 5-grams with an older one.

MinHash (Broder 1997) with locality-sensitive hashing finds them without comparing all with all; a
pair it proposes is then compared exactly, so that nothing is dropped that is not that similar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

_GRAM = 5
_MAX_CHARS = 2_000
_NUM_HASHES = 64
_MAX_THRESHOLD = 0.95
"""Above it so few hashes know no split into bands; what is proposed is compared exactly anyway."""


def find_duplicates(texts: Sequence[str], max_similarity: float) -> set[int]:
    """Return the rows of the texts that are too similar to one before them that is kept.

    Similarity is the Jaccard index of the sets of 5-grams of letters, without regard to case and
    white space. At 1.0 only equal texts are dropped. A pair just above the limit may go unseen.
    """
    folded = [" ".join(text.casefold().split())[:_MAX_CHARS] for text in texts]
    first: dict[str, int] = {}
    for row, text in enumerate(folded):
        first.setdefault(text, row)
    equal = {row for row, text in enumerate(folded) if first[text] != row}
    if max_similarity >= 1.0:
        return equal
    rows = [row for row in range(len(folded)) if row not in equal]
    return equal | _find_similar(folded, rows, max_similarity)


def _find_similar(folded: Sequence[str], rows: Sequence[int], limit: float) -> set[int]:
    try:
        from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 - of an extra, and slow to load
    except ImportError:
        raise missing_package("datasketch") from None
    threshold = min(limit, _MAX_THRESHOLD)
    index = MinHashLSH(threshold=threshold, num_perm=_NUM_HASHES, weights=(0.2, 0.8))
    similar = set()
    for row in rows:
        grams = _grams(folded[row])
        sketch = MinHash(num_perm=_NUM_HASHES, seed=1)
        sketch.update_batch([gram.encode() for gram in sorted(grams)])
        if any(_jaccard(grams, _grams(folded[twin])) > limit for twin in index.query(sketch)):
            similar.add(row)
        else:
            index.insert(row, sketch)
    return similar


def missing_package(name: str) -> TrainingError:
    """Return the error for a package of the extra `train` that is not installed."""
    return TrainingError(
        f"training needs the package {name}, which is not installed",
        remedy='Run: pip install "personalm[train]"',
    )


def _grams(text: str) -> frozenset[str]:
    return frozenset(text[at : at + _GRAM] for at in range(max(1, len(text) - _GRAM + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
