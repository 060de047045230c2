"""Routes: the buckets that need a copy of the rows of an id, such as a voice or a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_MAX_COPIES = 65_536


class Routes:
    """Which buckets need an id's rows; ids are added first, and asked for after."""

    def __init__(self, num_buckets: int) -> None:
        self._num_buckets = num_buckets
        self._added: list[tuple[pa.Array[Any], Numbers]] = []
        self._ids = pa.array([], pa.string())
        self._starts: Numbers = np.zeros(1, np.int64)
        self._buckets: Numbers = np.zeros(0, np.int64)

    def add(self, ids: pa.Array[Any], buckets: Numbers) -> None:
        """Note that each bucket needs the rows of its id; null ids need none."""
        valid = pc.is_valid(ids)
        self._added.append((ids.filter(valid), buckets[valid.to_numpy(zero_copy_only=False)]))

    def close(self) -> None:
        """Order what was added, so that it can be asked for."""
        if not self._added:
            return
        coded = pa.concat_arrays([ids for ids, _ in self._added]).dictionary_encode()
        codes = coded.indices.to_numpy().astype(np.int64)
        buckets = np.concatenate([buckets for _, buckets in self._added])
        pairs = np.unique(codes * self._num_buckets + buckets)
        self._ids = coded.dictionary
        self._buckets = pairs % self._num_buckets
        self._starts = np.searchsorted(
            pairs // self._num_buckets, np.arange(len(self._ids) + 1, dtype=np.int64)
        )
        self._added = []

    def copies(self, ids: pa.Array[Any]) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield which rows go where: indices into `ids` and buckets, a bounded number at a time."""
        if not len(self._ids):
            return
        codes = pc.index_in(ids, value_set=self._ids)
        rows = np.flatnonzero(pc.is_valid(codes).to_numpy(zero_copy_only=False))
        wanted = pc.drop_null(codes).to_numpy().astype(np.int64)
        counts = self._starts[wanted + 1] - self._starts[wanted]
        ends = np.cumsum(counts)
        for first in range(0, int(ends[-1]) if len(ends) else 0, _MAX_COPIES):
            copies = np.arange(first, min(first + _MAX_COPIES, int(ends[-1])), dtype=np.int64)
            at = np.searchsorted(ends, copies, side="right")
            offsets = copies - (ends[at] - counts[at])
            yield rows[at], self._buckets[self._starts[wanted[at]] + offsets]
