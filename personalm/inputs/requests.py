"""The requests table: every row is a request with a key, or an error that names the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import InputError
from personalm.hashing import subject_id_of
from personalm.inputs.contract import REQUESTS
from personalm.inputs.settling import find_twice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.inputs.columns import Batch

_FILE = "file"
_ROW = "row"

SCHEMA = REQUESTS.schema.append(pa.field(_FILE, pa.int32())).append(pa.field(_ROW, pa.int64()))
"""Rows of requests with the number of their file and their row in it."""


class RequestRows:
    """Makes requests complete; remembers the files, which the rows name by number."""

    def __init__(self) -> None:
        self._files: list[str] = []

    def complete(self, batch: Batch) -> pa.RecordBatch:
        """Return the rows with a subject id each.

        Raises InputError for a row without a user or a kind.
        """
        for column in ("user_id", "kind"):
            index = pc.index(pc.is_null(batch.rows.column(column)), pa.scalar(True)).as_py()
            if index >= 0:
                raise InputError(
                    f"a request has no {column}",
                    file=batch.file,
                    column=column,
                    row=batch.numbers[index].as_py(),
                    remedy="Fill it in, or take the row out.",
                )
        if batch.file not in self._files[-1:]:
            self._files.append(batch.file)
        columns = {name: batch.rows.column(name) for name in batch.rows.schema.names}
        columns["subject_id"] = _subject_ids(batch.rows)
        file = pa.scalar(len(self._files) - 1, pa.int32())
        columns |= {_FILE: pa.repeat(file, len(batch.rows)), _ROW: batch.numbers}
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=SCHEMA)

    def refuse_twice(self, requests: pa.Table) -> None:
        """Raise InputError where two rows ask for the same result, naming both."""
        twice = find_twice(requests)
        if twice is None:
            return
        (first, first_file), (second, second_file) = sorted(self._place(requests, i) for i in twice)
        raise InputError(
            "the same user, kind and subject are asked for twice: "
            f"also in row {first[1]}" + (f" of {first_file}" if first[0] != second[0] else ""),
            file=second_file,
            row=second[1],
            remedy="Take one of the rows out, or give them subject_ids of their own.",
        )

    def _place(self, requests: pa.Table, index: int) -> tuple[tuple[int, int], str]:
        number, row = requests[_FILE][index].as_py(), requests[_ROW][index].as_py()
        return (number, row), self._files[number]


def _subject_ids(rows: pa.RecordBatch) -> pa.Array[Any]:
    given: Sequence[str | None] = rows.column("subject_id").to_pylist()
    if None not in given:
        return rows.column("subject_id")
    subjects = rows.column("subject").to_pylist()
    instructions = rows.column("instructions").to_pylist()
    ids = [
        subject_id_of(subject or "", instruction) if each is None else each
        for each, subject, instruction in zip(given, subjects, instructions, strict=True)
    ]
    return pa.array(ids, pa.string())
