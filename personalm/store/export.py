"""Export: the live rows of a table as one file of its own.

It is written bucket by bucket, so that a large table does not have to fit into memory. Parquet
keeps every text as it is. CSV is for spreadsheets: a text, an id or a kind that a spreadsheet
would take for a formula gets an apostrophe before it, and texts are quoted.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from personalm.errors import StoreError
from personalm.places import locate_here
from personalm.store.files import LocalFiles
from personalm.store.parquet import encode_parts
from personalm.store.reading import read_parts, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

Encoder: TypeAlias = "Callable[[pa.Schema, Iterator[pa.Table]], Iterator[bytes]]"

# Full-width signs start a formula where a spreadsheet speaks Chinese or Japanese.
_FORMULA = re.compile(r"[\t\r\n\0]|[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\ufeff]*[=+\-@＝＋－＠]")


def export(path: str | Path, target: Path, *, table: str = "results", force: bool = False) -> int:
    """Write the live rows of a table to a `.parquet` or `.csv` file; return their number.

    The file is whole from the moment it exists. Raises StoreError for another suffix, and where
    the file exists and `force` is not given.
    """
    encoders: dict[str, Encoder] = {".parquet": encode_parts, ".csv": encode_csv}
    encoder = encoders.get(target.suffix.lower())
    if encoder is None:
        raise StoreError(
            f"{target}: no format is known for the suffix {target.suffix!r}",
            remedy="Name a file that ends in .parquet or .csv.",
        )
    target = locate_here(target, "an export")
    schema = schema_of(table)
    files = LocalFiles()

    def write(parts: Iterator[pa.Table]) -> int:
        num_rows = 0

        def counted() -> Iterator[pa.Table]:
            nonlocal num_rows
            for part in parts:
                num_rows += part.num_rows
                yield part

        put = files.replace if force else files.create
        put(target, encoder(schema, counted()))
        return num_rows

    try:
        return read_parts(path, table, write)
    except FileExistsError:
        raise StoreError(
            f"{target} exists", remedy="Name another file, or replace it with --force."
        ) from None


def encode_csv(schema: pa.Schema, parts: Iterator[pa.Table]) -> Iterator[bytes]:
    """Yield a table as CSV by RFC 4180, in UTF-8; no text of it starts a formula.

    A missing value is an empty cell.
    """
    yield _lines([schema.names])
    for part in parts:
        columns = [[_cell(value) for value in column.to_pylist()] for column in part.columns]
        yield _lines(zip(*columns, strict=True))


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    sink = io.StringIO(newline="")
    # Quoted, a text stays one cell also where a spreadsheet splits at semicolons.
    csv.writer(sink, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return sink.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return "'" + value if isinstance(value, str) and _FORMULA.match(value) else value
