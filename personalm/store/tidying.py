"""Tidying: remove what no kept snapshot needs. Only the holder of the lock may do it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.store.files import TEMPORARY
from personalm.store.schema import TABLES
from personalm.store.views import NUM_VIEWS

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.store.files import LocalFiles
    from personalm.store.layout import Layout
    from personalm.store.snapshots import Records

_log = logging.getLogger(__name__)

RETAINED = 10
"""Snapshots that are kept, the newest included."""


def tidy(files: LocalFiles, layout: Layout, records: Records, *, ended: Path | None = None) -> None:
    """Remove old records and views, data files that no record names, and unfinished files.

    `ended` is the folder of a run that is over. What cannot be removed is logged and left to the
    next run: the commit has been made.
    """
    try:
        if ended:
            files.remove_tree(ended)
        _remove_claims(records)
        _remove_old(files, layout, records)
        _remove_unnamed(files, layout, records)
        for folder in (layout.root, layout.snapshots):
            for name in files.names(folder):
                if name.startswith(TEMPORARY):
                    files.remove(folder / name)
    except (StoreError, FileNotFoundError) as error:
        _log.warning("%s: leftovers stay until the next run: %s", layout.root, error)


def _remove_claims(records: Records) -> None:
    """Remove numbers that a crash left claimed, without a snapshot."""
    for number in records.numbers():
        if records.read(number) is None:
            records.remove(number)


def _remove_old(files: LocalFiles, layout: Layout, records: Records) -> None:
    numbers = records.numbers()
    # Records go before the files they name: what a record names is always there.
    for number in numbers[:-RETAINED]:
        records.remove(number)
    kept = {layout.view(number).name for number in numbers[-NUM_VIEWS:]}
    for name in files.names(layout.views):
        if name not in kept:
            files.remove_tree(layout.views / name)


def _remove_unnamed(files: LocalFiles, layout: Layout, records: Records) -> None:
    kept = [records.read(number) for number in records.numbers()]
    named = {file.path for snapshot in kept if snapshot for file in snapshot.files}
    for table in TABLES:
        folder = layout.table(table)
        for name in files.names(folder):
            if f"_data/{table}/{name}" not in named:
                files.remove(folder / name)
