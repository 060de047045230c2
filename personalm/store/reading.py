"""Reading an output folder: the live rows of a table, and the state of the whole.

Readers take no lock. They start at the newest snapshot record and see that snapshot whole.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from personalm.errors import StoreDamagedError, StoreError
from personalm.store.artefacts import Artefacts
from personalm.store.bucket_files import BucketFiles
from personalm.store.journal import Journal
from personalm.store.layout import Layout
from personalm.store.object_files import files_at
from personalm.store.schema import TABLES
from personalm.store.snapshots import Records, Snapshot
from personalm.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from personalm.store.objects import Objects

T = TypeVar("T")


def read_table(path: str | Path, table: str = "results") -> pa.Table:
    """Return the live rows of `results`, `candidates` or `rejections`, by bucket and key.

    Raises StoreError where nothing is published yet, and StoreDamagedError where a file is
    missing or differs from its record.
    """
    empty = schema_of(table).empty_table()
    return read_parts(path, table, lambda parts: pa.concat_tables([empty, *parts]).combine_chunks())


def read_parts(path: str | Path, table: str, use: Callable[[Iterator[pa.Table]], T]) -> T:
    """Give the live rows of a table to `use`, one bucket at a time; return what it returns.

    All parts are of one snapshot: where so many are committed meanwhile that it is no longer kept,
    `use` is called again with those of a newer one. Raises as `read_table` does.
    """
    schema_of(table)
    return _read_newest(
        path, lambda newest, files: use(files.read(file) for file in newest.files_of(table))
    )


def read_snapshot(path: str | Path) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Return number, time and size of the newest snapshot, and the live rows of all its tables.

    Raises as `read_table` does.
    """

    def read(newest: Snapshot, files: BucketFiles) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        tables = {
            name: pa.concat_tables([schema.empty_table(), *map(files.read, newest.files_of(name))])
            for name, schema in TABLES.items()
        }
        return _describe(newest), tables

    return _read_newest(path, read)


def _read_newest(path: str | Path, use: Callable[[Snapshot, BucketFiles], T]) -> T:
    """Give the newest snapshot to `use`; again, where that is no longer kept, the one by then."""
    layout, files = require_output(path)
    records = Records(files, layout)
    bucket_files = BucketFiles(files, layout)
    snapshot = _require_snapshot(records, layout)
    while True:
        try:
            return use(snapshot, bucket_files)
        except StoreDamagedError:
            newer = _require_snapshot(records, layout)
            if newer.number == snapshot.number:
                raise
            snapshot = newer


def schema_of(table: str) -> pa.Schema:
    """Return the columns of a table. Raises StoreError where there is no such table."""
    if table not in TABLES:
        raise StoreError(f"{table!r} is no table; there are {', '.join(TABLES)}")
    return TABLES[table]


def status(path: str | Path) -> dict[str, Any]:
    """Return the state of an output folder, ready for JSON.

    `snapshot` has its number, time and live rows, `kept` the same of all kept snapshots, `run` the
    counts of the last run, `drops` how many candidates it drew, how many each gate dropped, and for
    which reasons requests were rejected, `artefacts` what was made of all users together, by name,
    `unfinished` the run that would be resumed, with its units and rows; each of them may be `None`.
    """
    layout, files = require_output(path)
    records = Records(files, layout)
    snapshot = records.newest()
    return {
        "snapshot": snapshot and _describe(snapshot),
        "kept": [_describe(kept) for kept in records.kept()],
        "run": _last_counts(files, layout),
        "drops": _last_drops(files, layout),
        "artefacts": _artefacts(files, layout),
        "unfinished": _unfinished(files, layout, snapshot),
    }


def require_output(path: str | Path) -> tuple[Layout, Objects]:
    """Return what is needed to read an output folder. Raises StoreError where it is none."""
    Store.require(path)
    return Layout.at(path), files_at(path)


def _describe(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "number": snapshot.number,
        **snapshot.num_rows,
        "created_at": snapshot.created_at.isoformat(),
        "action": snapshot.action,
    }


def _require_snapshot(records: Records, layout: Layout) -> Snapshot:
    snapshot = records.newest()
    if snapshot is None:
        raise StoreError(
            f"nothing is published in {layout.root} yet", remedy="Let a `personalm run` finish."
        )
    return snapshot


def _last_drops(files: Objects, layout: Layout) -> dict[str, Any] | None:
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        drops = json.loads(files.read(layout.last_run))["drops"]
        return {
            "candidates": int(drops["candidates"]),
            "by_gate": _numbers(drops["by_gate"]),
            # Older runs did not count them.
            "by_reason": _numbers(drops.get("by_reason", {})),
        }
    return None


def _numbers(counts: Mapping[Any, Any]) -> dict[str, int]:
    return {str(name): int(number) for name, number in counts.items()}


def _artefacts(files: Objects, layout: Layout) -> dict[str, Any] | None:
    artefacts = Artefacts(layout, files)
    try:
        found = [artefacts.latest(name) for name in artefacts.names]
    except StoreDamagedError:
        raise
    except StoreError:
        # They are private: whoever does not own them sees none.
        return None
    return {
        each.name: {"created_at": each.created_at.isoformat(), **each.about}
        for each in found
        if each
    }


def _last_counts(files: Objects, layout: Layout) -> dict[str, Any] | None:
    try:
        counts = json.loads(files.read(layout.last_run))["counts"]
        return {str(name): int(counts[name]) for name in counts}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreDamagedError(f"{layout.last_run} is damaged") from None


def _unfinished(files: Objects, layout: Layout, snapshot: Snapshot | None) -> dict[str, Any] | None:
    try:
        names = files.names(layout.runs)
    except StoreError:
        # The journal is private: whoever does not own it sees no unfinished run.
        return None
    for name in reversed(names):
        if snapshot and name == snapshot.run_id:
            continue
        with suppress(StoreDamagedError):
            journal = Journal.attach(layout.runs / name, files)
            return {"run_id": name, "units": len(journal.unit_ids), "rows": journal.num_rows}
    return None
