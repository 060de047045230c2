"""Snapshots: what a reader sees, as one small record a commit.

The record with the highest number is the table; to create the next number is to commit. Data
files that no record names do not exist for a reader.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from personalm.errors import StoreDamagedError, StoreError
from personalm.records import Counts
from personalm.store.layout import FORMAT, PARQUET
from personalm.store.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.store.files import LocalFiles
    from personalm.store.layout import Layout

# As `Layout.snapshot` writes them: another file of digits is no record.
_NAME = re.compile(r"([0-9]{8}|[1-9][0-9]{8,17})\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """An immutable Parquet file: the rows of one bucket of one table.

    `path` starts at the output folder.
    """

    table: str
    bucket: int
    path: str
    num_rows: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The live rows after a commit, and the run that made it.

    `schema` is that of the oldest of its files.
    """

    number: int
    parent: int | None
    run_id: str
    created_at: datetime
    fingerprint: str
    files: tuple[DataFile, ...]
    counts: Counts
    schema: int = SCHEMA_VERSION

    def files_of(self, table: str, bucket: int | None = None) -> tuple[DataFile, ...]:
        """Return the files of a table, those of one bucket where it is given."""
        return tuple(
            file for file in self.files if file.table == table and bucket in {None, file.bucket}
        )

    @property
    def num_rows(self) -> dict[str, int]:
        """Live rows of each table."""
        rows = Counter(dict.fromkeys(TABLES, 0))
        for file in self.files:
            rows[file.table] += file.num_rows
        return dict(rows)


class Records:
    """The commit records of one output folder; each is read once, for it never changes."""

    def __init__(self, files: LocalFiles, layout: Layout) -> None:
        self._files = files
        self._layout = layout
        self._known: dict[int, Snapshot] = {}

    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of the records, lowest first."""
        names = self._files.names(self._layout.snapshots)
        return tuple(sorted(int(match.group(1)) for match in map(_NAME.fullmatch, names) if match))

    def newest(self) -> Snapshot | None:
        """Return the snapshot with the highest number, `None` where none is committed yet.

        Raises StoreDamagedError where that record cannot be read.
        """
        for number in reversed(self.numbers()):
            try:
                snapshot = self.read(number)
            except FileNotFoundError:
                # Ten newer ones were committed since the folder was listed.
                return self.newest()
            if snapshot:
                return snapshot
        return None

    def read(self, number: int) -> Snapshot | None:
        """Return one snapshot, `None` where its number was claimed and never committed.

        Raises FileNotFoundError where there is no such record.
        """
        if number not in self._known:
            path = self._layout.snapshot(number)
            data = self._files.read(path)
            if not data:
                return None
            self._known[number] = _from_json(data, path)
        return self._known[number]

    def by_run(self) -> dict[str, Snapshot]:
        """Return the kept snapshots by the run that made each; damaged records are passed over."""
        snapshots: dict[str, Snapshot] = {}
        for number in self.numbers():
            with suppress(StoreDamagedError, FileNotFoundError):
                snapshot = self.read(number)
                if snapshot:
                    snapshots[snapshot.run_id] = snapshot
        return snapshots

    def create(self, snapshot: Snapshot) -> None:
        """Commit a snapshot. Raises StoreError where its number is taken."""
        path = self._layout.snapshot(snapshot.number)
        try:
            self._files.create(path, _to_json(snapshot))
        except FileExistsError:
            raise StoreError(
                f"another run has published snapshot {snapshot.number} of {self._layout.root} "
                "while this one was under way; nothing of this run is published",
                remedy="Run again: what this run has written is kept and goes on from there.",
            ) from None

    def remove(self, number: int) -> None:
        """Remove a record; its data files are another matter."""
        self._known.pop(number, None)
        self._files.remove(self._layout.snapshot(number))


def _to_json(snapshot: Snapshot) -> bytes:
    record = {
        "format": FORMAT,
        "schema": snapshot.schema,
        "number": snapshot.number,
        "parent": snapshot.parent,
        "run_id": snapshot.run_id,
        "created_at": snapshot.created_at.isoformat(),
        "fingerprint": snapshot.fingerprint,
        "counts": asdict(snapshot.counts),
        "live": snapshot.num_rows,
        "files": [
            {
                "table": file.table,
                "bucket": file.bucket,
                "path": file.path,
                "rows": file.num_rows,
                "bytes": file.num_bytes,
                "sha256": file.sha256,
            }
            for file in snapshot.files
        ],
    }
    return json.dumps(record, indent=1).encode()


def _from_json(data: bytes, path: Path) -> Snapshot:
    try:
        record = json.loads(data)
        _refuse_newer(record, path)
        snapshot = Snapshot(
            number=record["number"],
            parent=record["parent"],
            run_id=record["run_id"],
            created_at=datetime.fromisoformat(record["created_at"]),
            fingerprint=record["fingerprint"],
            counts=Counts(**record["counts"]),
            schema=record["schema"],
            files=tuple(_data_file(file) for file in record["files"]),
        )
        whole = snapshot.num_rows == record["live"] and path.stem == f"{snapshot.number:08d}"
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise StoreDamagedError(f"{path} is no whole snapshot record")
    return snapshot


def _data_file(record: dict[str, Any]) -> DataFile:
    """Return a file that a record names; ValueError where no run can have written it."""
    folder, _, name = str(record["path"]).rpartition("/")
    numbers = [record[key] for key in ("bucket", "rows", "bytes")]
    if (
        record["table"] not in TABLES
        or folder != f"_data/{record['table']}"
        or not name.endswith(PARQUET)
        or not all(type(number) is int and number >= 0 for number in numbers)
        or not _SHA256.fullmatch(record["sha256"])
    ):
        raise ValueError("a file of the record is none of the store's")
    return DataFile(
        table=record["table"],
        bucket=record["bucket"],
        path=record["path"],
        num_rows=record["rows"],
        num_bytes=record["bytes"],
        sha256=record["sha256"],
    )


def _refuse_newer(record: dict[str, Any], path: Path) -> None:
    if record["format"] > FORMAT or record["schema"] > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer personalm", remedy="Update personalm to read it."
        )
