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
from personalm.inputs.contract import TYPES
from personalm.inputs.facts import encode_facts, fact_values
from personalm.inputs.ids import canonical_id
from personalm.inputs.nested import NestedReader
from personalm.inputs.place import Place
from personalm.inputs.rawrows import RawRows
from personalm.inputs.report import Effect, Tally
from personalm.inputs.texts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow.parquet as pq

    from personalm.inputs.contract import Contract, Form
    from personalm.inputs.files import SourceFile
    from personalm.inputs.mapping import Match
    from personalm.inputs.rawrows import RawReader
    from personalm.inputs.values import Conversion

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
    sources: Mapping[str, str]
    """The file's own names of the contract's columns."""
    is_nested: bool = False
    """Whether the rows lie in lists; then the numbers are those of the rows with the lists."""

    def filter(self, mask: pa.Array[Any]) -> Batch:
        """Keep the rows for which the mask is true."""
        return replace(self, rows=self.rows.filter(mask), numbers=self.numbers.filter(mask))

    def place(self, name: str) -> Place:
        """Return where the values of a column of the contract stand."""
        column = self.sources.get(name, name)
        return Place(file=self.file, column=column, rows=self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """Reads one file of a table: its rows, or those that lie in lists within them.

    `folders` are the columns that the file's folders give.
    """

    file: SourceFile
    raw: RawReader | NestedReader
    folders: Mapping[str, str | None]
    match: Match
    contract: Contract
    conversions: Mapping[str, Conversion]
    zone: str
    max_text_chars: int

    @property
    def is_nested(self) -> bool:
        """Whether the rows lie in lists within those of another table."""
        return isinstance(self.raw, NestedReader)

    def check(self) -> None:
        """Raise InputError for columns whose type cannot become what the contract asks for."""
        schema = self.raw.schema
        nothing = [pa.nulls(0, field.type) for field in schema]
        rows = pa.RecordBatch.from_arrays(nothing, schema=schema)
        numbers = pa.array([], pa.int64())
        self._convert(RawRows(rows=rows, numbers=numbers), Tally(self.contract.table))

    def verify(self) -> None:
        """Read every row, and keep none. Raises InputDamagedError for damage."""
        for _ in self._raw_rows():
            pass

    def read(self, tally: Tally) -> Iterator[Batch]:
        """Read every row. Raises InputError for values that do not fit, and for damage."""
        num_rows = 0
        for batch in self._batches(tally):
            num_rows += len(batch.rows)
            yield batch
        tally.num_rows += num_rows
        for column in self.match.unused:
            self._note_unused(column, num_rows, tally)

    def choose(self, tally: Tally, where: Where) -> Iterator[Batch]:
        """Read the chosen rows; row groups without any are left alone."""
        with self.file.open() as parquet:
            for group in range(parquet.num_row_groups):
                if self._may_hold(parquet, group, where):
                    for raw in self.raw.read(parquet, (group,)):
                        yield from self._pick(raw, where, tally)
        self.file.check_unchanged()

    def _pick(self, raw: RawRows, where: Where, tally: Tally) -> Iterator[Batch]:
        """Convert the chosen rows of a batch, and of the others little or nothing."""
        unseen = Tally(self.contract.table)
        ids = {name: self._column(name, raw, unseen) for name in where.ids}
        for start, stop in _runs(where.mask(ids)):
            batch = self._batch(raw.slice(start, stop - start), tally)
            columns = {name: batch.rows.column(name) for name in where.ids}
            yield batch.filter(where.mask(columns))

    def _batches(self, tally: Tally) -> Iterator[Batch]:
        for raw in self._raw_rows():
            yield self._batch(raw, tally)

    def _raw_rows(self) -> Iterator[RawRows]:
        with self.file.open() as parquet:
            yield from self.raw.read(parquet, range(parquet.num_row_groups))
        self.file.check_unchanged()

    def _batch(self, raw: RawRows, tally: Tally) -> Batch:
        return Batch(
            file=str(self.file.path),
            rows=self._convert(raw, tally),
            numbers=raw.numbers,
            sources=self.match.sources,
            is_nested=self.is_nested,
        )

    def _may_hold(self, parquet: pq.ParquetFile, group: int, where: Where) -> bool:
        """Say whether a row group has chosen rows: by folder, by statistics, then by its ids."""
        sources = {name: s for name in where.ids if (s := self.match.sources.get(name))}
        for name, source in sources.items():
            given = self.folders.get(source)
            if given is not None and canonical_id(given) in where.ids[name]:
                return True
        if isinstance(self.raw, NestedReader):
            return self.raw.may_hold(parquet, group, where.ids)
        stored = {n: s for n, s in sources.items() if s not in self.folders}
        ids = replace(self.raw, columns=tuple(stored.values()))
        if not stored or not any(
            ids.may_hold(parquet, group, source, where.ids[name]) for name, source in stored.items()
        ):
            return False
        unseen = Tally(self.contract.table)
        for raw in ids.read(parquet, (group,)):
            columns = {name: self._column(name, raw, unseen) for name in where.ids}
            if pc.any(where.mask(columns)).as_py():
                return True
        return False

    def _convert(self, raw: RawRows, tally: Tally) -> pa.RecordBatch:
        columns = [self._column(name, raw, tally) for name in self.contract.columns]
        if self.contract.has_facts:
            columns.append(self._facts(raw, tally))
        return pa.RecordBatch.from_arrays(columns, schema=self.contract.schema)

    def _column(self, name: str, raw: RawRows, tally: Tally) -> pa.Array[Any]:
        source = self.match.sources.get(name)
        kind = self.contract.schema.field(name).type
        if source is None:
            return pa.nulls(len(raw.rows), kind)
        place = Place(file=str(self.file.path), column=source, rows=raw.numbers)
        values = self._values(raw.rows, place)
        words = self.folders.get(source)
        if words is not None:
            said = self.conversions[name].read_words(words, place)
            values = pa.repeat(pa.scalar(said), len(values))
        self._note_cast(values, self.contract.columns[name], place, tally)
        return self.conversions[name].convert(values, place, tally)

    def _note_cast(self, values: pa.Array[Any], form: Form, place: Place, tally: Tally) -> None:
        if values.type not in (TYPES[form], pa.null()):
            what = f"values of type {values.type} were read as {form}"
            tally.mark(place, pc.is_valid(values), Effect.CAST, what)

    def _facts(self, raw: RawRows, tally: Tally) -> pa.Array[Any]:
        facts = {}
        for column in self.match.extras:
            place = Place(file=str(self.file.path), column=column, rows=raw.numbers)
            facts[column] = fact_values(
                self._values(raw.rows, place),
                place,
                zone=self.zone,
                max_text_chars=self.max_text_chars,
                tally=tally,
            )
        return encode_facts(facts, len(raw.rows))

    def _values(self, rows: pa.RecordBatch, place: Place) -> pa.Array[Any]:
        """Return a column as the file has it, or as its folders give it; both must agree."""
        if place.column not in self.folders:
            return rows.column(place.column)
        given = self.folders[place.column]
        if place.column in rows.schema.names:
            try:
                stored = plain(rows.column(place.column)).cast(pa.string())
            except pa.ArrowException:
                raise place.error("the column cannot be compared with the file's folder") from None
            differs = pc.invert(pc.equal(pc.coalesce(stored, ""), given or ""))
            index = pc.index(differs, pa.scalar(True)).as_py()
            if index >= 0:
                raise place.error("the column and the folder of the file disagree", index=index)
        return pa.repeat(pa.scalar(given, pa.string()), len(rows))

    def _note_unused(self, column: str, num_rows: int, tally: Tally) -> None:
        # A file may have a column twice, and nothing asks for it here.
        stored = self.file.schema.get_all_field_indices(column)
        kind = self.file.schema.field(stored[0]).type if stored else pa.string()
        tally.add(
            Effect.UNUSED,
            f"values of type {kind} were not read",
            num_rows,
            file=str(self.file.path),
            column=column,
            remedy=f"Map it under [inputs.columns.{self.contract.table}], if it is of use.",
        )


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
