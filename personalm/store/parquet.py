"""Tables as the bytes of one Parquet file, and back, with every page checked."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.errors import StoreDamagedError
from personalm.store.schema import complete, is_written_by_any_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer


def encode(table: pa.Table) -> bytes:
    """Return a table as a Parquet file: plain types, no metadata of pandas or Arrow."""
    return b"".join(encode_parts(table.schema, iter([table])))


def encode_parts(schema: pa.Schema, parts: Iterator[pa.Table]) -> Iterator[bytes]:
    """Yield the pieces of one Parquet file, while the parts of its table come in."""
    sink = _Pieces()
    with pq.ParquetWriter(
        sink, schema, compression="zstd", store_schema=False, write_page_checksum=True
    ) as writer:
        for part in parts:
            writer.write_table(part)
            yield sink.take()
    yield sink.take()


class _Pieces(io.RawIOBase):
    """A file that hands out what was written to it and forgets it."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Take what is written."""
        piece = bytes(data)
        self._written.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._written = self._written, []
        return b"".join(pieces)


def decode(
    data: bytes, path: Path, *, schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the table, or some columns, of a file's bytes; `path` names it in messages.

    A column that an older version did not write is null. Raises StoreDamagedError for bytes that
    are no such table.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        found = file.schema_arrow
        # One thread: a table is one bucket, and the process may have been forked.
        table = file.read(columns=list(columns) if columns else None, use_threads=False)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise StoreDamagedError(f"{path} is no whole Parquet file: {_first_line(error)}") from None
    if not is_written_by_any_version(found, schema):
        raise StoreDamagedError(f"{path} has other columns than any version writes")
    wanted = [schema.field(name) for name in columns or schema.names]
    return complete(table, pa.schema(wanted))


def count_rows(data: bytes, path: Path) -> int:
    """Return the number of rows that a file's footer names. Raises StoreDamagedError."""
    try:
        return pq.read_metadata(pa.BufferReader(data)).num_rows
    except (pa.ArrowException, OSError) as error:
        raise StoreDamagedError(f"{path} is no whole Parquet file: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
