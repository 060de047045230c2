"""Making a leak index of the texts of all users, and taking users out of one.

Rows are laid into parts by the first bits of their hashes, in a private folder, as they come; then
one part at a time is put in order. Memory is bounded by the rows that wait and by the largest part.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from personalm.disks import full_disk_in_words
from personalm.errors import StoreError
from personalm.selection.grams import grams_of
from personalm.selection.leak_index import (
    MAX_OWNERS,
    ROW,
    LeakIndex,
    choose_bits,
    count_blocks,
    head_of,
    owner_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_MAX_WAITING = 1 << 17
_PART_BITS = 10
_SHIFT = np.uint64(64 - _PART_BITS)
_NOBODY = 0
"""Owner of runs that anybody may write."""


class LeakIndexBuilder:
    """An index while it is made; the folder is its own, and is made."""

    def __init__(self, folder: Path, *, num_words: int) -> None:
        self.num_users = 0
        self._folder = folder
        self._num_words = num_words
        self._waiting: list[NDArray[np.void]] = []
        self._num_waiting = 0
        self._num_added = 0
        with _in_words(folder):
            folder.mkdir(mode=_PRIVATE_FOLDER)

    def add(self, user_id: str, texts: Iterable[str]) -> None:
        """Take up the texts of a user; all of them, or some."""
        self.num_users += 1
        self._add(texts, owner_of(user_id))

    def add_common(self, texts: Iterable[str]) -> None:
        """Take up texts that anybody may quote, as those of the catalogue."""
        self._add(texts, _NOBODY)

    def finish(self) -> Callable[[], Iterator[bytes]]:
        """Put the rows in order; return what gives the bytes of the index.

        They lie in the builder's folder until then. Raises StoreError where rows have gone from it
        meanwhile: an index without them would let through what it is there to find.
        """
        bits = choose_bits(self._num_added)
        counts = np.zeros(1 << bits, np.int64)
        body = self._folder / "body"
        _append(body, b"")
        num_found = 0
        for rows in self._parts():
            num_found += len(rows)
            kept = _settle(rows)
            counts += count_blocks([kept], bits)
            _append(body, kept.tobytes())
        if num_found != self._num_added:
            raise _lost(self._folder)
        head = head_of(counts, self._num_words)

        def chunks() -> Iterator[bytes]:
            yield head
            with body.open("rb") as file:
                while chunk := file.read(1 << 20):
                    yield chunk

        return chunks

    def _add(self, texts: Iterable[str], owner: int) -> None:
        grams = grams_of(texts, self._num_words)
        rows = np.empty(len(grams), ROW)
        rows["gram"], rows["owner"] = grams, owner
        self._waiting.append(rows)
        self._num_waiting += len(rows)
        self._num_added += len(rows)
        if self._num_waiting >= _MAX_WAITING:
            self._flush()

    def _flush(self) -> None:
        """Lay the rows that wait into their parts."""
        rows = np.concatenate([*self._waiting, np.empty(0, ROW)])
        self._waiting, self._num_waiting = [], 0
        rows = rows[np.argsort(rows["gram"], kind="stable")]
        parts = (rows["gram"] >> _SHIFT).astype(np.int64)
        stops = np.searchsorted(parts, np.arange(1, (1 << _PART_BITS) + 1))
        start = 0
        for part, stop in enumerate(stops.tolist()):
            if stop > start:
                _append(self._part(part), rows[start:stop].tobytes())
            start = stop

    def _parts(self) -> Iterator[NDArray[np.void]]:
        if self._num_added == self._num_waiting:
            # So few that they need not be laid down.
            yield np.concatenate([*self._waiting, np.empty(0, ROW)])
            return
        self._flush()
        for part in range(1 << _PART_BITS):
            path = self._part(part)
            if path.exists():
                yield np.fromfile(path, ROW)
                path.unlink()

    def _part(self, part: int) -> Path:
        return self._folder / f"{part:03x}"


def take_out(path: Path, user_ids: Collection[str]) -> Callable[[], Iterator[bytes]] | None:
    """Return what gives the bytes of an index without some users, `None` where it has none."""
    index = LeakIndex(path)
    owners = np.array(sorted(map(owner_of, user_ids)), np.uint64)

    def rows() -> Iterator[NDArray[np.void]]:
        for chunk in index.rows():
            yield chunk[~np.isin(chunk["owner"], owners)]

    bits = choose_bits(index.num_rows)
    counts = count_blocks(rows(), bits)
    if int(counts.sum()) == index.num_rows:
        return None
    head = head_of(counts, index.num_words)

    def chunks() -> Iterator[bytes]:
        yield head
        for chunk in rows():
            yield chunk.tobytes()

    return chunks


def _settle(rows: NDArray[np.void]) -> NDArray[np.void]:
    """Put rows in order, each once, without the runs that anybody may write."""
    if not len(rows):
        return rows
    rows = np.unique(rows[np.lexsort((rows["owner"], rows["gram"]))])
    starts = np.flatnonzero(np.concatenate([[True], rows["gram"][1:] != rows["gram"][:-1]]))
    num_owners = np.diff(np.append(starts, len(rows)))
    # Nobody's hash is the lowest, and comes first.
    is_kept = (num_owners <= MAX_OWNERS) & (rows["owner"][starts] != _NOBODY)
    return rows[np.repeat(is_kept, num_owners)]


def _append(path: Path, data: bytes) -> None:
    with _in_words(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE_FILE)
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Say of a path that its disk is full, or that its folder has gone."""
    try:
        with full_disk_in_words(path):
            yield
    except FileNotFoundError:
        raise _lost(path.parent) from None


def _lost(folder: Path) -> StoreError:
    return StoreError(
        f"{folder} has lost or gained rows of the leak index while it was made",
        remedy="Another run, or whatever clears temporary files, was there. Run again.",
    )
