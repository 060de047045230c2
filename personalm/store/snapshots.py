"""Snapshots: what a reader sees, as one small record a commit.

The record with the highest number is the table; to create the next number is to commit. Data
files that no record names do not exist for a reader.

A number can also be barred, by an empty record: whoever had meant to commit under it is refused.
That is how files that no record names are removed for certain: first the next number is barred,
then what lay there before is removed, which nobody can commit any more.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from personalm.accounts import Counts
from personalm.errors import StoreDamagedError, StoreError
from personalm.store.identity import check_versions
from personalm.store.layout import FORMAT, PARQUET
from personalm.store.schema import SCHEMA_VERSION, TABLES
from personalm.store.sealing import is_as_sealed, seal

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects

# As `Layout.snapshot` writes them: another file of digits is no record.
_NAME = re.compile(r"([0-9]{8}|[1-9][0-9]{8,17})\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset(
    """format schema number parent run_id created_at fingerprint action counts live
    files""".split()  # noqa: SIM905 - reads better
)


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
    """The live rows after a commit, the run that wrote the last of them, and what committed it.

    `schema` is that of the oldest of its files.
    """

    number: int
    parent: int | None
    run_id: str
    created_at: datetime
    fingerprint: str
    files: tuple[DataFile, ...]
    counts: Counts
    action: str = "run"
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

    def __init__(self, files: Objects, layout: Layout) -> None:
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
        return self.head()[0]

    def head(self) -> tuple[Snapshot | None, int]:
        """Return the newest snapshot, and the number that the next one may be committed under.

        Whoever asks before writing a file, and commits under this number, knows that nobody has
        removed the file meanwhile.
        """
        numbers = self.numbers()
        for number in reversed(numbers):
            try:
                snapshot = self.read(number)
            except FileNotFoundError:
                # So many newer ones were committed since the folder was listed.
                return self.head()
            if snapshot:
                return snapshot, numbers[-1] + 1
        return None, (numbers[-1] if numbers else 0) + 1

    def read(self, number: int) -> Snapshot | None:
        """Return one snapshot, `None` where its number is barred.

        Raises FileNotFoundError where there is no such record.
        """
        if number not in self._known:
            path = self._layout.snapshot(number)
            data = self._files.read(path)
            if not data:
                return None
            self._known[number] = _from_json(data, path)
        return self._known[number]

    def kept(self) -> tuple[Snapshot, ...]:
        """Return all snapshots that can be read, oldest first; damaged records are passed over."""
        snapshots = []
        for number in self.numbers():
            with suppress(StoreDamagedError, FileNotFoundError):
                snapshots.append(self.read(number))
        return tuple(snapshot for snapshot in snapshots if snapshot)

    def by_run(self) -> dict[str, Snapshot]:
        """Return the newest kept snapshot of each run."""
        return {snapshot.run_id: snapshot for snapshot in self.kept()}

    def create(self, snapshot: Snapshot) -> None:
        """Commit a snapshot. Raises StoreError where its number is taken."""
        self._take(snapshot.number, _to_json(snapshot))

    def bar(self) -> None:
        """Bar the next number: no one who is writing now can commit any more. Raises StoreError."""
        self._take(self.head()[1], b"")

    def _take(self, number: int, data: bytes) -> None:
        path = self._layout.snapshot(number)
        self._files.make_folder(path.parent)
        try:
            self._files.create(path, data)
        except FileExistsError:
            raise StoreError(
                f"another run has published or tidied {self._layout.root} while this one was "
                f"under way: number {number} is taken; nothing of this run is published",
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
        "action": snapshot.action,
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
    return seal(record)


def _from_json(data: bytes, path: Path) -> Snapshot:
    try:
        record = json.loads(data)
        check_versions(record, path)
        snapshot = Snapshot(
            number=record["number"],
            parent=record["parent"],
            run_id=record["run_id"],
            created_at=datetime.fromisoformat(record["created_at"]),
            fingerprint=record["fingerprint"],
            action=record.get("action", "run"),
            counts=Counts(**record["counts"]),
            schema=record["schema"],
            files=tuple(_data_file(file) for file in record["files"]),
        )
        whole = (
            is_as_sealed(data, known=_KEYS)
            and snapshot.num_rows == record["live"]
            and path.stem == f"{snapshot.number:08d}"
        )
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
