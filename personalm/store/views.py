"""Views: the newest snapshots as folders of plain Parquet files, for readers that are not ours.

`latest` is a link to the view of the newest snapshot, and swapped at once. A view stays as long as
its snapshot is kept, so that a reader that resolved `latest` finds all its files for that long.
One that goes through `latest` for each file anew may miss a file where a swap comes in between; it
never sees files of two snapshots that differ, for no two files ever have the same name. Files of a
view are second names of the snapshot's bucket files. Where there are no links, a pointer takes
the place of both.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from personalm.store.files import TEMPORARY, LocalFiles
from personalm.store.layout import PARQUET, inside
from personalm.store.parquet import encode
from personalm.store.pointer import is_pointed_at, point
from personalm.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects
    from personalm.store.snapshots import Snapshot

_EMPTY = f"empty{PARQUET}"
"""File of a table without rows: it carries the columns."""


def show(files: Objects, layout: Layout, snapshot: Snapshot) -> None:
    """Make the view of a snapshot, or complete it, and let `latest` point to it."""
    if not isinstance(files, LocalFiles):
        point(files, layout, snapshot)
        return
    view = layout.view(snapshot.number)
    for table, schema in TABLES.items():
        folder = inside(view, table)
        files.make_folder(folder)
        for file in snapshot.files_of(table):
            source = layout.data(file.path)
            with suppress(FileExistsError):
                files.share(source, inside(folder, source.name))
        if not snapshot.files_of(table):
            with suppress(FileExistsError):
                files.create(inside(folder, _EMPTY), encode(schema.empty_table()))
        files.sync(folder)
    files.point(layout.latest, _target(layout, snapshot))


def ensure_shown(files: Objects, layout: Layout, snapshot: Snapshot | None) -> None:
    """Let `latest` lead to a snapshot, if there is one, where it does not."""
    if snapshot and not is_shown(files, layout, snapshot):
        show(files, layout, snapshot)


def remove_views(files: Objects, layout: Layout, numbers: Iterable[int]) -> None:
    """Remove every view but those of these snapshots."""
    kept = {layout.view(number).name for number in numbers}
    for name in files.names(layout.views):
        if name not in kept:
            files.remove_tree(layout.views / name)


def is_shown(files: Objects, layout: Layout, snapshot: Snapshot) -> bool:
    """Say whether `latest` leads to exactly the files of a snapshot."""
    if not isinstance(files, LocalFiles):
        return is_pointed_at(files, layout, snapshot)
    if files.target_of(layout.latest) != _target(layout, snapshot):
        return False
    view = layout.view(snapshot.number)
    for table in TABLES:
        names = {n for n in files.names(view / table) if not n.startswith(TEMPORARY)}
        if names != _names(snapshot, table):
            return False
    return True


def _names(snapshot: Snapshot, table: str) -> set[str]:
    return {file.path.rpartition("/")[2] for file in snapshot.files_of(table)} or {_EMPTY}


def _target(layout: Layout, snapshot: Snapshot) -> str:
    return str(layout.view(snapshot.number).relative_to(layout.root))
