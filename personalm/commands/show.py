"""`personalm export` and `personalm report`: live rows for other programs and for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def export(
    output: Path,
    target: Path,
    *,
    table: Literal["results", "candidates", "rejections"] = "results",
    force: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Copy the live rows into one Parquet or CSV file.

    Example: `personalm export OUT texts.csv`

    Parameters
    ----------
    output
        Folder of the results.
    target
        File to write, `.parquet` or `.csv`. CSV is made safe for spreadsheets.
    table
        Table to copy.
    force
        Replace the file where it exists.
    """
    from personalm.store.export import export as write_export

    num_rows = write_export(output, target, table=table, force=force)
    print(f"{num_rows} rows written to {target}")
    return 0


def report(output: Path, target: Path) -> int:
    """Write a page with every text of an output folder, to be opened in a browser.

    Example: `personalm report OUT report.html`

    Parameters
    ----------
    output
        Folder of the results.
    target
        HTML file to write.
    """
    from personalm.report.page import write_report

    write_report(output, target)
    print(f"report written to {target}")
    return 0
