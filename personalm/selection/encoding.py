"""Rows of texts: their embeddings, each text for itself where a batch of them fails.

Rows that are kept are rounded to half precision whether they were kept or not, so that a score
does not depend on which it was.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from personalm.errors import EngineError, is_of_a_row
from personalm.selection.shape import shape_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from personalm.selection.embedder import Embedder

_log = logging.getLogger(__name__)


def embed(embedder: Embedder, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Embed every text once, all in one call; a text that makes it fail has no row.

    Raises EngineError where the embedder fails for every text.
    """
    # The order decides which texts share a batch; it must not follow from that of the requests.
    wanted = sorted(set(texts))
    if not wanted:
        return {}
    rows = dict(_encode(embedder, wanted))
    if not rows:
        _probe(embedder)
    if len(rows) < len(wanted):
        _log.warning("%d texts could not be embedded", len(wanted) - len(rows))
    return rows


def round_row(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a row as it is once it was kept in half precision."""
    return row.astype(np.float16).astype(np.float32)


def stack(
    rows: Mapping[str, NDArray[np.float32]], texts: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the texts that have an embedding that says something, and their embeddings.

    *Shape:* (texts found, dimensions).
    """
    found = [text for text in texts if text in rows and is_sound(rows[text])]
    return tuple(found), np.stack([rows[t] for t in found]) if found else np.zeros((0, 0), "f4")


def with_shape(texts: Sequence[str], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows that a scorer compares: embedding and shape of each text."""
    return np.hstack([embeddings, shape_rows(texts)])


def is_sound(row: NDArray[np.float32]) -> bool:
    """Tell whether an embedding says something; one without columns is not asked to."""
    return bool(np.isfinite(row).all()) and (row.size == 0 or bool(row.any()))


def _encode(embedder: Embedder, texts: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the row of each text; where a call fails, its halves are tried, down to one text."""
    rows = _attempt(embedder, texts)
    if rows is not None:
        yield from zip(texts, rows, strict=True)
    elif len(texts) > 1:
        middle = len(texts) // 2
        yield from _encode(embedder, texts[:middle])
        yield from _encode(embedder, texts[middle:])


def _attempt(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32] | None:
    """Return the rows, None where the call fails; without the error: it would hold its tensors."""
    try:
        return embedder.encode(texts)
    except Exception as error:
        if not is_of_a_row(error):
            raise
        _log.debug("embedding of %d texts failed: %s", len(texts), type(error).__name__)
        return None


def _probe(embedder: Embedder) -> None:
    """Tell an embedder that fails for everything from texts that nobody can embed."""
    try:
        embedder.encode(["a few plain words"])
    except Exception as error:
        if not is_of_a_row(error):
            raise
        raise EngineError(
            f"the embedder cannot embed anything any more: {type(error).__name__}",
            remedy="Start the run again; check the model: selection.embedder in the settings.",
        ) from None
