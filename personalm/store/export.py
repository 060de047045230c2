"""Export: the live rows of a table as one file of its own.

Parquet keeps every text as it is. CSV is for spreadsheets: a text, an id or a kind
that a spreadsheet would take for a formula gets an apostrophe before it, and texts are quoted.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.store.files import LocalFiles
from personalm.store.parquet import encode
from personalm.store.reading import read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

# Full-width signs start a formula where a spreadsheet speaks Chinese or Japanese.
_FORMULA = re.compile(r"[\t\r\n\0]|[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\ufeff]*[=+\-@＝＋－＠]")


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
    # Quoted, a text stays one cell also where a spreadsheet splits at semicolons.
    writer = csv.writer(sink, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(table.column_names)
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return sink.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return "'" + value if isinstance(value, str) and _FORMULA.match(value) else value
