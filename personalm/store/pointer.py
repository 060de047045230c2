"""Pointer: `latest.json`, which names the files of the newest snapshot where no link can.

It is for readers of plain Parquet: `snapshot` is the number, and each table has the list of its
files, as paths in the output folder. It is written after the commit and is no part of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from personalm.store.layout import inside
from personalm.store.schema import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects
    from personalm.store.snapshots import Snapshot


def point(files: Objects, layout: Layout, snapshot: Snapshot) -> None:
    """Let the pointer name the files of a snapshot."""
    files.replace(_path(layout), _content(snapshot))


def is_pointed_at(files: Objects, layout: Layout, snapshot: Snapshot) -> bool:
    """Say whether the pointer names exactly the files of a snapshot."""
    try:
        return files.read(_path(layout)) == _content(snapshot)
    except FileNotFoundError:
        return False


def _content(snapshot: Snapshot) -> bytes:
    tables = {table: [file.path for file in snapshot.files_of(table)] for table in TABLES}
    return json.dumps({"snapshot": snapshot.number, **tables}, indent=1).encode()


def _path(layout: Layout) -> Path:
    return inside(layout.root, "latest.json")
