"""Bucket files: the immutable Parquet files that snapshots are made of.

A file that was written is read back before anything refers to it, and one that is read is checked
against what its record says.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from personalm.errors import StoreDamagedError
from personalm.store.layout import PARQUET
from personalm.store.parquet import decode, encode
from personalm.store.schema import TABLES
from personalm.store.snapshots import DataFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects


class BucketFiles:
    """Writes and reads the bucket files of one output folder."""

    def __init__(self, files: Objects, layout: Layout) -> None:
        self._files = files
        self._layout = layout

    def write(self, table: str, bucket: int, rows: pa.Table) -> DataFile:
        """Write the rows of a bucket as a new file, and read it back.

        Raises StoreDamagedError where the disk gives back something else.
        """
        data = encode(rows)
        path = self._layout.data(f"_data/{table}/{bucket:04d}-{secrets.token_hex(8)}{PARQUET}")
        self._files.make_folder(path.parent)
        self._files.create(path, data)
        file = DataFile(
            table=table,
            bucket=bucket,
            path=str(path.relative_to(self._layout.root)),
            num_rows=rows.num_rows,
            num_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        self.read(file, columns=("user_id",))
        return file

    def read(self, file: DataFile, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a file, or some of their columns.

        Raises StoreDamagedError where it is gone, or its bytes or rows are not those of its
        record.
        """
        path = self._layout.data(file.path)
        try:
            data = self._files.read(path)
        except FileNotFoundError:
            raise StoreDamagedError(f"{path} is missing") from None
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise StoreDamagedError(
                f"{path} differs from its checksum: it has {len(data)} bytes, "
                f"{file.num_bytes} were written"
            )
        table = decode(data, path, schema=TABLES[file.table], columns=columns)
        if table.num_rows != file.num_rows:
            raise StoreDamagedError(
                f"{path} has {table.num_rows} rows, {file.num_rows} were written"
            )
        return table
