"""Identity: what says that a folder is an output folder, and of which version and buckets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from personalm.errors import StoreDamagedError, StoreError
from personalm.store.layout import FORMAT
from personalm.store.schema import SCHEMA_VERSION
from personalm.store.sealing import is_as_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects

MAX_BUCKETS = 4_096
"""As many as the settings allow."""

VERSIONS = {"format": FORMAT, "schema": SCHEMA_VERSION}
"""Versions of the folder's layout and of the tables' columns, as every record carries them."""

OLDEST = {"format": FORMAT, "schema": 1}
"""The oldest versions that are read; a publish rewrites the tables of an older schema."""


def read_identity(files: Objects, layout: Layout) -> int | None:
    """Return the number of buckets of an output folder, `None` where there is none yet.

    Raises StoreError where another version has written it.
    """
    try:
        data = files.read(layout.identity)
    except FileNotFoundError:
        return None
    if not data:
        return None
    try:
        identity = json.loads(data)
        check_versions(identity, layout.root)
        num_buckets = int(identity["buckets"])
        is_whole = is_as_sealed(data, known={*VERSIONS, "buckets"})
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        is_whole = False
    if not is_whole:
        raise StoreDamagedError(f"{layout.identity} is damaged")
    if not 1 <= num_buckets <= MAX_BUCKETS:
        raise StoreDamagedError(f"{layout.identity} names {num_buckets} buckets")
    return num_buckets


def create_identity(files: Objects, layout: Layout, buckets: int) -> int:
    """Make a folder ours; return its number of buckets, which another process may have set."""
    data = seal({**VERSIONS, "buckets": buckets})
    try:
        files.create(layout.identity, data)
    except FileExistsError:
        found = read_identity(files, layout)
        if found is not None:
            return found
        files.replace(layout.identity, data)
    return buckets


def check_versions(record: Mapping[str, Any], path: Path) -> None:
    """Raise StoreError where a record was written by a version that this one does not read."""
    for name, known in VERSIONS.items():
        found = int(record[name])
        if found > known:
            raise StoreError(
                f"{path} was written by a newer personalm ({name} {found}, this one knows {known})",
                remedy="Update personalm to use it.",
            )
        if found < OLDEST[name]:
            raise StoreError(
                f"{path} was written by an older personalm "
                f"({name} {found}, this one writes {known})",
                remedy="Export it with that version, and let this one write to a new folder: "
                "every text is written anew there.",
            )
