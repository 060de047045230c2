"""Buckets on disk: rows of one table, laid into one file for each range of users.

A file is a row of Arrow streams, one for each time rows were added, so that few files are open and
memory is bounded however many buckets there are. Folders and files are for their owner alone.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from personalm.hashing import bucket_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_MAX_ROWS = 65_536
_MAX_BYTES = 64 << 20
# Each stream has a head of its own, of about ten rows; it must not be most of a file.
_ROWS_A_STREAM = 64
_OPTIONS = ipc.IpcWriteOptions(compression="lz4")


class Buckets:
    """The buckets of one table, below a folder of its own."""

    def __init__(self, folder: Path, schema: pa.Schema, *, num_buckets: int = 1) -> None:
        """Take what is laid into `num_buckets`; it only decides how many rows wait for a write."""
        self._folder = folder
        self._max_rows = max(_MAX_ROWS, _ROWS_A_STREAM * num_buckets)
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._targets: list[NDArray[np.int64]] = []
        self._num_rows = 0
        self._num_bytes = 0
        self.written: Counter[int] = Counter()
        """Rows that this object has laid into each bucket."""

    def create(self) -> None:
        """Make the folder."""
        self._folder.mkdir(mode=PRIVATE_FOLDER)

    def add(self, rows: pa.RecordBatch, targets: NDArray[np.int64]) -> None:
        """Lay each row into its bucket; rows of one bucket stay in the order they came in."""
        self._waiting.append(rows)
        self._targets.append(targets)
        self._num_rows += len(rows)
        self._num_bytes += rows.nbytes
        if self._num_rows >= self._max_rows or self._num_bytes >= _MAX_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held in memory."""
        if not self._num_rows:
            return
        targets = np.concatenate(self._targets)
        order = np.argsort(targets, kind="stable")
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        rows = table.combine_chunks().take(pa.array(order))
        buckets, starts = np.unique(targets[order], return_index=True)
        stops = [*starts[1:].tolist(), len(rows)]
        for bucket, start, stop in zip(buckets.tolist(), starts.tolist(), stops, strict=True):
            self._append(bucket, rows.slice(start, stop - start))
        self._waiting, self._targets, self._num_rows, self._num_bytes = [], [], 0, 0

    def read(self, bucket: int) -> pa.Table:
        """Return the rows of a bucket in the order they came in."""
        path = self._path(bucket)
        tables = []
        if path.exists():
            with pa.OSFile(str(path), "rb") as file:
                while file.tell() < file.size():
                    tables.append(ipc.open_stream(file).read_all())
        return pa.concat_tables(tables) if tables else self._schema.empty_table()

    def replace(self, bucket: int, table: pa.Table) -> None:
        """Write a bucket anew, as one stream."""
        self._path(bucket).unlink(missing_ok=True)
        self.written[bucket] = 0
        if len(table):
            self._append(bucket, table)

    def _append(self, bucket: int, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        with ipc.new_stream(sink, self._schema, options=_OPTIONS) as writer:
            writer.write_table(table)
        write_private(self._path(bucket), sink.getvalue())
        self.written[bucket] += len(table)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:04d}.arrow"


def targets_of(ids: pa.Array[Any], num_buckets: int) -> NDArray[np.int64]:
    """Return the bucket of each id; each distinct one is hashed once."""
    coded = ids.dictionary_encode()
    buckets = np.array(
        [bucket_of(each, num_buckets) for each in coded.dictionary.to_pylist()], np.int64
    )
    targets: NDArray[np.int64] = buckets[coded.indices.to_numpy()]
    return targets


def write_private(path: Path, data: bytes | pa.Buffer) -> None:
    """Add bytes to a file that only its owner may read; the file is made if need be."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE_FILE)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)
