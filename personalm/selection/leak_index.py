"""The leak index: which runs of words stand in the texts of one user, or of two, and whose.

A file of hashes in order, read a block at a time, so that memory does not grow with it. It holds
no text and no id: a row is the hash of a run and that of the user who wrote it. A run that three
users wrote is common and has no row. Layout, in little-endian numbers of 64 bits: what the file
is, words in a run, bits of a block's number, rows; for each block the row where it starts, and
the number of rows; then the rows, by hash. The first bits of a hash are its block.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from personalm.errors import StoreDamagedError
from personalm.hashing import user_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MAX_OWNERS = 2
"""A run of more users is common."""

ROW = np.dtype([("gram", "<u8"), ("owner", "<u8")])
_MAGIC = int.from_bytes(b"pmleaks1", "little")
_NUMBER = np.dtype("<u8")
_HEAD = 4
_ROWS_A_BLOCK = 256
_MAX_BITS = 20
_HASH_BITS = 64
_ROWS_A_CHUNK = 1 << 16


def owner_of(user_id: str) -> int:
    """Return what stands for a user in an index: 64 bits of the digest of the id, never 0."""
    return int(user_digest(user_id)[:16], 16) or 1


class LeakIndex:
    """An index that is open for reading. Raises StoreDamagedError where the file is no index."""

    def __init__(self, path: Path) -> None:
        # Read without a mapping: pages of a mapped file count as memory of the process.
        self._path = path
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise self._damaged() from None
        magic, self.num_words, self._bits, self.num_rows = self._numbers(0, _HEAD)
        if magic != _MAGIC or self._bits > _MAX_BITS:
            raise self._damaged()
        num_starts = (1 << self._bits) + 1
        self._starts = self._numbers(_HEAD, num_starts)
        self._first_row = (_HEAD + num_starts) * _NUMBER.itemsize
        size = os.fstat(self._file.fileno()).st_size
        if size != self._first_row + self.num_rows * ROW.itemsize:
            raise self._damaged()

    def find_strangers(
        self, grams: NDArray[np.uint64], writers: Collection[str]
    ) -> NDArray[np.uint64]:
        """Return those of some runs that only users other than the writers wrote."""
        own = {owner_of(user_id) for user_id in writers}
        found = [gram for gram in grams.tolist() if self._is_strange(gram, own)]
        return np.array(found, np.uint64)

    def rows(self) -> Iterator[NDArray[np.void]]:
        """Yield all rows in their order, some at a time."""
        for start in range(0, self.num_rows, _ROWS_A_CHUNK):
            yield self._rows(start, min(start + _ROWS_A_CHUNK, self.num_rows))

    def _is_strange(self, gram: int, own: set[int]) -> bool:
        block = gram >> (_HASH_BITS - self._bits)
        rows = self._rows(self._starts[block], self._starts[block + 1])
        start = int(np.searchsorted(rows["gram"], np.uint64(gram)))
        owners = [
            owner for found, owner in rows[start : start + MAX_OWNERS].tolist() if found == gram
        ]
        return bool(owners) and own.isdisjoint(owners)

    def _rows(self, start: int, stop: int) -> NDArray[np.void]:
        offset = self._first_row + start * ROW.itemsize
        data = os.pread(self._file.fileno(), (stop - start) * ROW.itemsize, offset)
        if len(data) != (stop - start) * ROW.itemsize:
            raise self._damaged()
        return np.frombuffer(data, ROW)

    def _numbers(self, start: int, count: int) -> list[int]:
        size = count * _NUMBER.itemsize
        data = os.pread(self._file.fileno(), size, start * _NUMBER.itemsize)
        if len(data) != size:
            raise self._damaged()
        numbers: list[int] = np.frombuffer(data, _NUMBER).tolist()
        return numbers

    def _damaged(self) -> StoreDamagedError:
        return StoreDamagedError(
            f"{self._path} is no whole leak index", remedy="Make it anew: personalm run --rebuild."
        )


def choose_bits(num_rows: int) -> int:
    """Return the bits of a block's number, so that a block has a few hundred rows."""
    return min(_MAX_BITS, max(0, (num_rows // _ROWS_A_BLOCK).bit_length()))


def count_blocks(rows: Iterable[NDArray[np.void]], bits: int) -> NDArray[np.int64]:
    """Return how many of some rows are in each block."""
    counts = np.zeros(1 << bits, np.int64)
    for chunk in rows:
        blocks = (
            chunk["gram"] >> np.uint64(_HASH_BITS - bits) if bits else np.zeros(len(chunk), int)
        )
        counts += np.bincount(blocks.astype(np.int64), minlength=len(counts))
    return counts


def head_of(counts: NDArray[np.int64], num_words: int) -> bytes:
    """Return what stands before the rows of an index, by the rows of each block."""
    bits = len(counts).bit_length() - 1
    starts = np.concatenate([[0], np.cumsum(counts)])
    head = np.array([_MAGIC, num_words, bits, int(starts[-1])], _NUMBER)
    return head.tobytes() + starts.astype(_NUMBER).tobytes()
