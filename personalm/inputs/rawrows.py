"""Rows as a file has them, in record batches whose size is bounded whatever the file claims.

A few bytes of Parquet can stand for very many: one long text in a dictionary, and a million rows
that name it. So where a row group could grow like that, its dictionaries are looked at first, and
what it decodes to is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalm.discreet import Discreet
from personalm.errors import InputError
from personalm.inputs.files import READ_ERRORS, damaged
from personalm.inputs.rowgroups import may_hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from personalm.inputs.files import SourceFile

_MAX_ROWS = 16_384
_MAX_BYTES = 32 << 20
_MAX_UNSEEN_BYTES = 256 << 20
"""A row group that cannot grow beyond this, batch by batch, is read without a further look."""
_DICTIONARIES = frozenset({"RLE_DICTIONARY", "PLAIN_DICTIONARY"})
_FRONT_CODED = "DELTA_BYTE_ARRAY"
"""Texts as what they add to the one before: each may be as long as all that is stored."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RawRows(Discreet):
    """Rows as the file has them, and their numbers in the file, counted from 0."""

    rows: pa.RecordBatch
    numbers: pa.Array[Any]

    def slice(self, first: int, num_rows: int) -> RawRows:
        """Return some of the rows."""
        return RawRows(
            rows=self.rows.slice(first, num_rows), numbers=self.numbers.slice(first, num_rows)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReader:
    """Reads some columns of one file."""

    file: SourceFile
    columns: tuple[str, ...]
    max_group_bytes: int

    def read(self, parquet: pq.ParquetFile, groups: Sequence[int]) -> Iterator[RawRows]:
        """Read row groups that follow each other.

        Raises InputDamagedError for damage, InputError for a row group that decodes to more than
        `max_group_bytes`.
        """
        metadata = parquet.metadata
        first_row = sum(metadata.row_group(g).num_rows for g in range(min(groups, default=0)))
        for may_grow, part in groupby(groups, lambda g: self._may_grow(metadata.row_group(g))):
            for chosen in ([group] for group in part) if may_grow else (list(part),):
                batches = self._grown(parquet, chosen) if may_grow else self._read(parquet, chosen)
                for batch in batches:
                    after = first_row + len(batch)
                    numbers = pa.array(np.arange(first_row, after, dtype=np.int64))
                    yield RawRows(rows=batch, numbers=numbers)
                    first_row = after

    @property
    def schema(self) -> pa.Schema:
        """Types of the columns, as the file has them."""
        return pa.schema([self.file.schema.field(name) for name in self.columns])

    def may_hold(
        self, parquet: pq.ParquetFile, group: int, column: str, ids: Iterable[str]
    ) -> bool:
        """Say whether a column of a row group may hold one of these canonical ids."""
        self._peek(parquet, [group])
        paths = [parquet.schema.column(index).path for index in range(len(parquet.schema))]
        if column not in paths:
            return True
        field = self.file.schema.field(column)
        return may_hold(parquet, group, paths.index(column), field, ids)

    def _read(
        self, parquet: pq.ParquetFile, groups: list[int], max_rows: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        metadata = [parquet.metadata.row_group(group) for group in groups]
        num_bytes = sum(group.total_byte_size for group in metadata)
        num_rows = sum(group.num_rows for group in metadata)
        size = max(1, min(max_rows or _MAX_ROWS, _MAX_BYTES * num_rows // max(1, num_bytes)))
        num_read = 0
        for batch in self._iterate(parquet, groups, size):
            num_read += len(batch)
            yield batch
        if num_read != num_rows:
            found = f"{num_read:,} of {num_rows:,} rows could be read"
            raise damaged(self.file.path, found)

    def _iterate(
        self, parquet: pq.ParquetFile, groups: list[int], size: int
    ) -> Iterator[pa.RecordBatch]:
        try:
            yield from parquet.iter_batches(
                size,
                row_groups=groups,
                columns=list(self.columns),
                use_threads=False,  # Arrow's threads do not survive a fork
            )
        except READ_ERRORS as error:
            raise damaged(self.file.path, error) from None

    def _peek(self, parquet: pq.ParquetFile, groups: list[int]) -> pa.RecordBatch | None:
        """Read one row, or find the damage.

        This comes before any look at what a footer says of a column: pyarrow ends the process
        where the footer makes no sense, and raises an error here.
        """
        return next(self._iterate(parquet, groups, 1), None)

    def _grown(self, parquet: pq.ParquetFile, groups: list[int]) -> Iterator[pa.RecordBatch]:
        """Read one row group that may be far larger than it looks."""
        (group,) = groups
        max_rows = min(_MAX_ROWS, _MAX_BYTES // self._bytes_of_a_row(parquet, group))
        num_bytes = 0
        for batch in self._read(parquet, groups, max(1, max_rows)):
            num_bytes += batch.nbytes
            if num_bytes > self.max_group_bytes:
                raise self._too_large(group, "decodes to")
            yield batch

    def _may_grow(self, group: pq.RowGroupMetaData) -> bool:
        num_bytes: int = min(group.num_rows, _MAX_ROWS) * group.total_byte_size
        return num_bytes > min(_MAX_UNSEEN_BYTES, self.max_group_bytes)

    def _bytes_of_a_row(self, parquet: pq.ParquetFile, group: int) -> int:
        """Return what a row may hold if it names the longest text of each dictionary."""
        self._peek(parquet, [group])
        metadata = parquet.metadata.row_group(group)
        leaves = [index for index in range(len(parquet.schema)) if self._is_needed(parquet, index)]
        chunks = {parquet.schema.column(index).path: metadata.column(index) for index in leaves}
        if sum(each.total_uncompressed_size for each in chunks.values()) > self.max_group_bytes:
            raise self._too_large(group, "holds")
        front_coded = [each for each in chunks.values() if _FRONT_CODED in each.encodings]
        coded = [
            path
            for path, each in chunks.items()
            if each.physical_type == "BYTE_ARRAY" and not _DICTIONARIES.isdisjoint(each.encodings)
        ]
        row = self._peek(self._coded(parquet, coded), [group])
        num_bytes = sum(_longest(column) for column in row.columns) if row else 0
        num_bytes += sum(each.total_uncompressed_size for each in front_coded)
        num_values = max((each.num_values for each in chunks.values()), default=0)
        return max(1, num_bytes) * max(1, num_values // max(1, metadata.num_rows))

    def _is_needed(self, parquet: pq.ParquetFile, index: int) -> bool:
        path = parquet.schema.column(index).path
        return any(path == name or path.startswith(f"{name}.") for name in self.columns)

    def _coded(self, parquet: pq.ParquetFile, paths: Iterable[str]) -> pq.ParquetFile:
        """Open the file so that texts stay in their dictionaries."""
        try:
            return pq.ParquetFile(
                self.file.path,
                metadata=parquet.metadata,
                read_dictionary=list(paths),
                pre_buffer=False,
            )
        except READ_ERRORS as error:
            raise damaged(self.file.path, error) from None

    def _too_large(self, group: int, verb: str) -> InputError:
        return InputError(
            f"row group {group} {verb} more than {self.max_group_bytes:,} bytes",
            file=str(self.file.path),
            remedy="Write the file in smaller row groups, or raise inputs.max_row_group_bytes.",
        )


def _longest(values: pa.Array[Any]) -> int:
    """Return the bytes of the longest text in the dictionaries of a column."""
    if isinstance(values, pa.DictionaryArray):
        lengths = pc.binary_length(values.dictionary)
        return int(pc.max(lengths).as_py() or 0)
    if isinstance(values, pa.StructArray):
        return sum(_longest(field) for field in values.flatten())
    if isinstance(values, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray | pa.MapArray):
        return _longest(values.values)
    return 0
