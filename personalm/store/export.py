"""Export: the live rows of a table as one file of its own.

Parquet keeps every text as it is. CSV is for spreadsheets: a text that a spreadsheet would take
for a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.store.files import LocalFiles
from personalm.store.parquet import encode
from personalm.store.reading import read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def export(path: str | Path, target: Path, *, table: str = "results", force: bool = False) -> int:
    """Write the live rows of a table to a `.parquet` or `.csv` file; return their number.

    The file is whole from the moment it exists. Raises StoreError for another suffix, and where
    the file exists and `force` is not given.
    """
    encoders = {".parquet": encode, ".csv": encode_csv}
    encoder = encoders.get(target.suffix.lower())
    if encoder is None:
        raise StoreError(
            f"{target}: no format is known for the suffix {target.suffix!r}",
            remedy="Name a file that ends in .parquet or .csv.",
        )
    rows = read_table(path, table)
    data = encoder(rows)
    files = LocalFiles()
    if force:
        files.replace(target, data)
        return rows.num_rows
    try:
        files.create(target, data)
    except FileExistsError:
        raise StoreError(
            f"{target} exists", remedy="Name another file, or replace it with --force."
        ) from None
    return rows.num_rows


def encode_csv(table: pa.Table) -> bytes:
    """Return a table as CSV by RFC 4180, in UTF-8; no text of it starts a formula.

    A missing value is an empty cell.
    """
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(table.column_names)
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return sink.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value.isoformat() if isinstance(value, datetime) else value
