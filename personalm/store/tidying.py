"""Tidying: remove what no kept snapshot needs, and nothing that anybody could still commit.

A file that no record names may be a leftover, or belong to a run that goes on elsewhere although
it lost its lock. So such files are listed first, then a commit of our own, or a barred number,
shuts out whoever was writing them, and only then they go.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.store.files import TEMPORARY
from personalm.store.schema import TABLES
from personalm.store.views import remove_views

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects
    from personalm.store.snapshots import Records

_log = logging.getLogger(__name__)

RETAINED = 10
"""Snapshots that are kept, the newest included, where the settings say nothing else."""


def tidy(
    files: Objects,
    layout: Layout,
    records: Records,
    *,
    keep: int = RETAINED,
    ended: Path | None = None,
    listed: frozenset[str] | None = None,
) -> int:
    """Remove old snapshots, data files that no record names, and unfinished files.

    `ended` is the folder of a run that is over. `listed` are data files that lay there before a
    commit that the caller has just made; without it, a number is barred where files must go.
    Returns the number of data files that went. What cannot be removed is logged and left to the
    next run: the commit has been made.
    """
    try:
        if ended:
            files.remove_tree(ended)
        # First, for it makes room on a full disk without needing any.
        for path in list_unfinished(files, layout):
            files.remove(path)
        _remove_old(files, layout, records, keep)
        num_removed = _remove_unnamed(files, layout, records, listed)
    except (StoreError, FileNotFoundError) as error:
        _log.warning("%s: leftovers stay until the next run: %s", layout.root, error)
        return 0
    return num_removed


def list_unfinished(files: Objects, layout: Layout) -> tuple[Path, ...]:
    """Return the files beside the journal that a writer has not finished, if it ever will."""
    views = [layout.views / name for name in files.names(layout.views)]
    folders = [layout.root, layout.snapshots, *map(layout.table, TABLES)]
    folders += [view / table for view in views for table in TABLES]
    return tuple(
        folder / name
        for folder in folders
        for name in files.names(folder)
        if name.startswith(TEMPORARY)
    )


def list_data(files: Objects, layout: Layout) -> frozenset[str]:
    """Return the paths of all whole data files, those that no record names included."""
    return frozenset(
        f"_data/{table}/{name}"
        for table in TABLES
        for name in files.names(layout.table(table))
        if not name.startswith(TEMPORARY)
    )


def named_by(records: Records) -> frozenset[str]:
    """Return the paths of the data files that the kept snapshots name."""
    kept = [records.read(number) for number in records.numbers()]
    return frozenset(file.path for snapshot in kept if snapshot for file in snapshot.files)


def _remove_old(files: Objects, layout: Layout, records: Records, keep: int) -> None:
    numbers = records.numbers()
    kept = [number for number in numbers if records.read(number) is not None][-keep:]
    # Records go before the files they name: what a record names is always there.
    for number in numbers:
        if kept and number < kept[0]:
            records.remove(number)
    remove_views(files, layout, kept)


def _remove_unnamed(
    files: Objects, layout: Layout, records: Records, listed: frozenset[str] | None
) -> int:
    if listed is None:
        listed = list_data(files, layout)
        if not listed - named_by(records):
            return 0
        records.bar()
    unnamed = listed - named_by(records)
    for path in sorted(unnamed):
        files.remove(layout.data(path))
    return len(unnamed)
