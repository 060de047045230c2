"""A file of the inputs, read in record batches as the data contract asks, whatever its types are.

Only the columns that are needed are read; an optional one that is missing is null.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalm.discreet import Discreet
from personalm.inputs.facts import encode_facts, fact_values
from personalm.inputs.files import damaged
from personalm.inputs.place import Place
from personalm.inputs.report import Tally
from personalm.inputs.rowgroups import may_hold
from personalm.inputs.texts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow.parquet as pq

    from personalm.inputs.contract import Contract
    from personalm.inputs.files import SourceFile
    from personalm.inputs.mapping import Match
    from personalm.inputs.values import Conversion

_MAX_ROWS = 16_384
_MAX_BYTES = 32 << 20
# So few runs of rows are converted one by one, without the rows between them.
_MAX_RUNS = 64


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Where(Discreet):
    """A choice of rows: those whose id in one of these columns is one of these."""

    ids: Mapping[str, frozenset[str]]

    def mask(self, columns: Mapping[str, pa.Array[Any]]) -> pa.Array[Any]:
        """Say for each row whether it is chosen."""
        mask: pa.Array[Any] | None = None
        for name, wanted in self.ids.items():
            found = pc.is_in(columns[name], pa.array(sorted(wanted), pa.string()))
            mask = found if mask is None else pc.or_(mask, found)
        assert mask is not None  # noqa: S101 - a choice names a column
        return mask


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Batch(Discreet):
    """Rows of a file in the contract's schema, and their numbers in the file, counted from 0."""

    file: str
    rows: pa.RecordBatch
    numbers: pa.Array[Any]

    def filter(self, mask: pa.Array[Any]) -> Batch:
        """Keep the rows for which the mask is true."""
        return replace(self, rows=self.rows.filter(mask), numbers=self.numbers.filter(mask))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """Reads one file of a table."""

    file: SourceFile
    match: Match
    contract: Contract
    conversions: Mapping[str, Conversion]
    zone: str
    max_text_chars: int

    def check(self) -> None:
        """Raise InputError for columns whose type cannot become what the contract asks for."""
        stored = [self.file.schema.field(name) for name in self._needed_in_file]
        nothing = [pa.nulls(0, field.type) for field in stored]
        self._convert(
            pa.RecordBatch.from_arrays(nothing, schema=pa.schema(stored)),
            0,
            Tally(self.contract.table),
        )

    def read(self, tally: Tally) -> Iterator[Batch]:
        """Read every row. Raises InputError for values that do not fit, and for damage."""
        with self.file.open() as parquet:
            num_rows = 0
            for batch in self._batches(parquet, range(parquet.num_row_groups), 0, tally):
                num_rows += len(batch.rows)
                tally.num_rows += len(batch.rows)
                yield batch
            if num_rows != parquet.metadata.num_rows:
                found = f"{num_rows:,} of {parquet.metadata.num_rows:,} rows could be read"
                raise damaged(self.file.path, found)

    def choose(self, tally: Tally, where: Where) -> Iterator[Batch]:
        """Read the chosen rows; row groups without any are left alone."""
        with self.file.open() as parquet:
            first_row = 0
            for group in range(parquet.num_row_groups):
                if self._may_hold(parquet, group, where, tally):
                    for raw in self._raw(parquet, self._needed_in_file, (group,)):
                        yield from self._pick(raw, first_row, where, tally)
                        first_row += len(raw)
                else:
                    first_row += parquet.metadata.row_group(group).num_rows

    def _pick(
        self, raw: pa.RecordBatch, first_row: int, where: Where, tally: Tally
    ) -> Iterator[Batch]:
        """Convert the chosen rows of a batch, and of the others little or nothing."""
        ids = {name: self._column(name, raw, first_row, tally) for name in where.ids}
        for start, stop in _runs(where.mask(ids)):
            part = raw.slice(start, stop - start)
            batch = self._convert_batch(part, first_row + start, tally)
            columns = {name: batch.rows.column(name) for name in where.ids}
            yield batch.filter(where.mask(columns))

    def _batches(
        self, parquet: pq.ParquetFile, groups: Sequence[int], first_row: int, tally: Tally
    ) -> Iterator[Batch]:
        for raw in self._raw(parquet, self._needed_in_file, groups):
            yield self._convert_batch(raw, first_row, tally)
            first_row += len(raw)

    def _convert_batch(self, raw: pa.RecordBatch, first_row: int, tally: Tally) -> Batch:
        numbers = np.arange(first_row, first_row + len(raw), dtype=np.int64)
        return Batch(
            file=str(self.file.path),
            rows=self._convert(raw, first_row, tally),
            numbers=pa.array(numbers),
        )

    @property
    def _needed_in_file(self) -> list[str]:
        needed = dict.fromkeys((*self.match.sources.values(), *self.match.extras))
        return [column for column in needed if column in self.file.schema.names]

    def _raw(
        self, parquet: pq.ParquetFile, columns: Sequence[str], groups: Sequence[int]
    ) -> Iterator[pa.RecordBatch]:
        """Read columns as the file has them, in batches of a bounded size."""
        metadata = [parquet.metadata.row_group(group) for group in groups]
        num_bytes = sum(group.total_byte_size for group in metadata)
        num_rows = sum(group.num_rows for group in metadata)
        size = min(_MAX_ROWS, _MAX_BYTES * num_rows // max(1, num_bytes))
        try:
            yield from parquet.iter_batches(
                max(1, size),
                row_groups=list(groups),
                columns=list(columns),
                use_threads=False,  # Arrow's threads do not survive a fork
            )
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.file.path, str(error)) from None

    def _may_hold(self, parquet: pq.ParquetFile, group: int, where: Where, tally: Tally) -> bool:
        """Say whether a row group has chosen rows: by folder, by statistics, then by its ids."""
        sources = {name: s for name in where.ids if (s := self.match.sources.get(name))}
        for name, source in sources.items():
            if self.file.folders.get(source) in where.ids[name]:
                return True
        stored = {n: s for n, s in sources.items() if s not in self.file.folders}
        metadata, schema = parquet.metadata.row_group(group), self.file.schema
        if not any(
            may_hold(metadata, schema.field(source), where.ids[name])
            for name, source in stored.items()
        ):
            return False
        for raw in self._raw(parquet, tuple(stored.values()), (group,)):
            ids = {name: self._column(name, raw, 0, tally) for name in where.ids}
            if pc.any(where.mask(ids)).as_py():
                return True
        return False

    def _convert(self, raw: pa.RecordBatch, first_row: int, tally: Tally) -> pa.RecordBatch:
        columns = [self._column(name, raw, first_row, tally) for name in self.contract.columns]
        if self.contract.has_facts:
            columns.append(self._facts(raw, first_row, tally))
        return pa.RecordBatch.from_arrays(columns, schema=self.contract.schema)

    def _column(
        self, name: str, raw: pa.RecordBatch, first_row: int, tally: Tally
    ) -> pa.Array[Any]:
        source = self.match.sources.get(name)
        if source is None:
            return pa.nulls(len(raw), self.contract.schema.field(name).type)
        place = Place(file=str(self.file.path), column=source, first_row=first_row)
        return self.conversions[name].convert(self._values(raw, place), place, tally)

    def _facts(self, raw: pa.RecordBatch, first_row: int, tally: Tally) -> pa.Array[Any]:
        facts = {}
        for column in self.match.extras:
            place = Place(file=str(self.file.path), column=column, first_row=first_row)
            facts[column] = fact_values(
                self._values(raw, place),
                place,
                zone=self.zone,
                max_text_chars=self.max_text_chars,
                tally=tally,
            )
        return encode_facts(facts, len(raw))

    def _values(self, raw: pa.RecordBatch, place: Place) -> pa.Array[Any]:
        """Return a column as the file has it, or as its folders give it; both must agree."""
        if place.column not in self.file.folders:
            return raw.column(place.column)
        given = self.file.folders[place.column]
        if place.column in raw.schema.names:
            stored = plain(raw.column(place.column)).cast(pa.string())
            differs = pc.invert(pc.equal(pc.coalesce(stored, ""), given or ""))
            index = pc.index(differs, pa.scalar(True)).as_py()
            if index >= 0:
                raise place.error("the column and the folder of the file disagree", index=index)
        return pa.repeat(pa.scalar(given, pa.string()), len(raw))


def _runs(mask: pa.Array[Any]) -> list[tuple[int, int]]:
    """Return the bounds of the runs of chosen rows, as one where there are very many."""
    chosen = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
    if not len(chosen):
        return []
    ends = np.flatnonzero(np.diff(chosen) > 1)
    if len(ends) >= _MAX_RUNS:
        return [(int(chosen[0]), int(chosen[-1]) + 1)]
    starts, stops = chosen[[0, *(ends + 1)]], chosen[[*ends, -1]] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
