"""Planted faults: each takes one guard out of the store, in this process and its children.

A loop that finds nothing with a guard taken out proves nothing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from personalm.accounts import Counts
from personalm.store import journal, merging
from personalm.store.bucket_files import BucketFiles
from personalm.store.files import LocalFiles, _write
from personalm.store.parquet import decode
from personalm.store.publication import Publication
from personalm.store.schema import TABLES
from personalm.store.snapshots import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from personalm.store.snapshots import DataFile


TRIALS = "trials"
"""Name of the part that is no operation."""


def _create_in_place(files: LocalFiles, path: Path, data: bytes) -> None:
    """Write under the final name from the start, as most programs do."""
    if path.exists():
        raise FileExistsError(path)
    files.call(_write, path, data)


def _rename(files: LocalFiles, temporary: Path, path: Path) -> None:
    """Rename to the final name, whether it is taken or not."""
    files.call(os.replace, temporary, path)


def _read_unchecked(
    files: BucketFiles, file: DataFile, columns: Sequence[str] | None = None
) -> pa.Table:
    path = files._layout.data(file.path)
    return decode(files._files.read(path), path, schema=TABLES[file.table], columns=columns)


def _keep_all(table: pa.Table, *_: object) -> pa.Table:
    return table


def _pass(*_: object) -> None:
    """Check nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A guard taken out, and the part of the loop that shows it soonest, in some modes."""

    patches: Callable[[], Sequence[AbstractContextManager[Any]]]
    part: str = TRIALS
    modes: tuple[str, ...] = ()


PLANTS = {
    "no-link": Plant(
        patches=lambda: [patch.object(LocalFiles, "create", _create_in_place)],
        part="run",
        modes=("short write",),
    ),
    "replace": Plant(patches=lambda: [patch.object(LocalFiles, "_commit", _rename)]),
    "no-fsync": Plant(patches=lambda: [patch.object(os, "fsync", _pass)]),
    "no-lock": Plant(patches=lambda: [patch.object(LocalFiles, "lock", lambda *_: nullcontext())]),
    "no-count-check": Plant(
        patches=lambda: [
            patch.object(journal, "_check", _pass),
            patch.object(Publication, "check", _pass),
            patch.object(Counts, "is_balanced", property(lambda _: True)),
        ]
    ),
    "no-checksum": Plant(
        patches=lambda: [patch.object(BucketFiles, "read", _read_unchecked)],
        part="run",
        modes=("misdirected write",),
    ),
    "no-bar": Plant(patches=lambda: [patch.object(Records, "bar", _pass)]),
    "two-rows": Plant(
        patches=lambda: [
            patch.object(merging, "without", _keep_all),
            patch.object(merging, "_check_once", _pass),
        ]
    ),
}
"""Planted faults by name."""


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Take a guard out for as long as the context lasts."""
    patches = PLANTS[name].patches() if name else []
    for each in patches:
        each.__enter__()
    try:
        yield
    finally:
        for each in reversed(patches):
            each.__exit__(None, None, None)
