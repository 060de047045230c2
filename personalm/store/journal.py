"""Journal: the finished units of one run, one Parquet file each.

A unit is in the journal whole or not at all, so a run that was killed goes on with what is
missing. Several processes may write units of one run. The journal knows nothing of snapshots.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from personalm.accounts import Label
from personalm.errors import AccountingError, StoreDamagedError, StoreError
from personalm.records import Key
from personalm.remote import RemotePath, place_of
from personalm.store.files import TEMPORARY, LocalFiles
from personalm.store.layout import FORMAT, PARQUET, inside
from personalm.store.object_files import files_at
from personalm.store.parquet import count_rows, decode, encode
from personalm.store.schema import UNIT, from_unit, keys_of, to_unit
from personalm.store.scratch import scratch_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import pyarrow as pa

    from personalm.records import Outcome
    from personalm.store.objects import Objects

_log = logging.getLogger(__name__)

_IDENTITY = "run.json"
_UNITS = "units"
_WITHDRAWN = "withdrawn"
_LABELS = "labels"
_SPILL = "spill"
_NOTES = "notes"


class Journal:
    """The units of one run; see `Store.start_run` and `Journal.attach`."""

    def __init__(self, folder: Path, *, run_id: str, fingerprint: str, files: Objects) -> None:
        self.folder = folder
        self.run_id = run_id
        self.fingerprint = fingerprint
        self._files = files

    @classmethod
    def begin(cls, folder: Path, *, fingerprint: str, files: Objects) -> Journal:
        """Make the folder of a new run; its name is the run's id."""
        files.make_folder(folder, private=True)
        files.make_folder(inside(folder, _UNITS), private=True)
        identity = {"format": FORMAT, "run_id": folder.name, "fingerprint": fingerprint}
        # Last: a folder without it is no run yet.
        files.create(inside(folder, _IDENTITY), json.dumps(identity).encode())
        return cls(folder, run_id=folder.name, fingerprint=fingerprint, files=files)

    @classmethod
    def attach(cls, folder: Path, files: Objects | None = None) -> Journal:
        """Open the journal of a run that was begun, here or in another process.

        Raises StoreDamagedError where the folder holds no run of this version.
        """
        files = files or files_at(folder)
        folder = place_of(folder)
        if folder.is_symlink():
            raise StoreDamagedError(f"{folder} is a link, no folder of a run")
        folder = folder.resolve()
        try:
            identity = json.loads(files.read(inside(folder, _IDENTITY)))
            if identity["format"] != FORMAT or identity["run_id"] != folder.name:
                raise StoreDamagedError(f"{folder} holds the run of another version or place")
            fingerprint = str(identity["fingerprint"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            raise StoreDamagedError(f"{folder} holds no run") from None
        return cls(folder, run_id=folder.name, fingerprint=fingerprint, files=files)

    @property
    def spill_folder(self) -> Path:
        """Where the run's inputs are spilled; made by others, and gone with the run."""
        return scratch_of(self.folder) or inside(self.folder, _SPILL)

    @property
    def notes_folder(self) -> Path:
        """Where the run writes what it worked out about people; see `Store.notes`."""
        return inside(self.folder, _NOTES)

    @property
    def unit_ids(self) -> tuple[str, ...]:
        """Units with a file, those of earlier plans included."""
        names = self._files.names(inside(self.folder, _UNITS))
        return tuple(name.removesuffix(PARQUET) for name in names if not name.startswith(TEMPORARY))

    @property
    def num_rows(self) -> int:
        """Requests that are journalled, those of earlier plans included."""
        paths = (self._path(unit_id) for unit_id in self.unit_ids)
        num_rows = 0
        for path in paths:
            with suppress(FileNotFoundError, StoreDamagedError):
                num_rows += count_rows(self._files.read(path), path)
        return num_rows

    def has(self, unit_id: str) -> bool:
        """Say whether a unit is finished; a damaged file is removed and counts as missing."""
        return self._load(unit_id) is not None

    def load(self, unit_id: str) -> pa.Table:
        """Return a unit as a table, one row a key. Raises StoreError where it is missing."""
        unit = self._load(unit_id)
        if unit is None:
            raise StoreError(
                f"unit {unit_id} of run {self.run_id} is missing or damaged",
                remedy="Run again: it is written anew.",
            )
        return unit

    def read(self, unit_id: str) -> tuple[Outcome, ...]:
        """Return the outcomes of a unit. Raises StoreError where it is missing."""
        return from_unit(self.load(unit_id))

    def write(
        self, unit_id: str, outcomes: Collection[Outcome], *, expected: Collection[Key]
    ) -> None:
        """Journal a unit. `expected` are the keys of its tasks.

        Raises AccountingError, and writes nothing, where the outcomes are not those of the
        expected keys, once each; StoreError where the unit is journalled already.
        """
        _check(unit_id, Counter(outcome.key for outcome in outcomes), Counter(expected))
        unit = to_unit(outcomes, run_id=self.run_id, generated_at=datetime.now(UTC))
        try:
            self._files.create(self._path(unit_id), encode(unit))
        except FileExistsError:
            raise StoreError(
                f"unit {unit_id} of run {self.run_id} is journalled already",
                remedy="Another process writes the same run: end one of them, and run again.",
            ) from None

    def withdraw(self, bucket: int, keys: Collection[Key]) -> None:
        """Note the live rows of a bucket that this run takes away, in place of what was noted."""
        self._note(_WITHDRAWN, bucket, [_row_of(key) for key in sorted(keys)])

    def withdrawn(self, bucket: int) -> frozenset[Key]:
        """Return the keys that `withdraw` noted. Raises StoreError where nothing was."""
        rows = self._noted(_WITHDRAWN, bucket)
        return frozenset(Key(user_id=u, kind=k, subject_id=s) for u, k, s in rows)

    def relabel(self, bucket: int, labels: Mapping[Key, Label]) -> None:
        """Note which requests rows of a bucket answer now, in place of what was noted."""
        rows = [
            [*_row_of(key), label.request_id, label.is_derived]
            for key, label in sorted(labels.items(), key=lambda entry: entry[0])
        ]
        self._note(_LABELS, bucket, rows)

    def labels(self, bucket: int) -> dict[Key, Label]:
        """Return what `relabel` noted. Raises StoreError where nothing was."""
        return {
            Key(user_id=u, kind=k, subject_id=s): Label(
                request_id=request_id, is_derived=is_derived
            )
            for u, k, s, request_id, is_derived in self._noted(_LABELS, bucket)
        }

    def erase(self, user_ids: Collection[str]) -> int:
        """Remove the units with rows of some users; return their number.

        Whatever lies beside the units goes too: spilled inputs, notes of the run, unfinished files.
        """
        self.delete_spill()
        for name in self._files.names(self.folder):
            if name not in {_IDENTITY, _UNITS}:
                path = self.folder / name
                is_tree = path.is_dir() or isinstance(path, RemotePath)
                (self._files.remove_tree if is_tree else self._files.remove)(path)
        units = inside(self.folder, _UNITS)
        for name in self._files.names(units):
            if name.startswith(TEMPORARY):
                self._files.remove(units / name)
        num_erased = 0
        for unit_id in self.unit_ids:
            unit = self._load(unit_id)
            if unit is not None and any(key.user_id in user_ids for key in keys_of(unit)):
                self._files.remove(self._path(unit_id))
                num_erased += 1
        return num_erased

    def delete_spill(self) -> None:
        """Remove what is left of the run's spilled inputs."""
        files = LocalFiles() if isinstance(self.folder, RemotePath) else self._files
        files.remove_tree(self.spill_folder)

    def _note(self, name: str, bucket: int, rows: list[list[Any]]) -> None:
        folder = inside(self.folder, name)
        self._files.make_folder(folder, private=True)
        self._files.replace(inside(folder, f"{bucket:04d}.json"), json.dumps(rows).encode())

    def _noted(self, name: str, bucket: int) -> list[list[Any]]:
        path = inside(self.folder, name, f"{bucket:04d}.json")
        try:
            rows: list[list[Any]] = json.loads(self._files.read(path))
        except (FileNotFoundError, ValueError):
            raise StoreError(
                f"{path} is missing or damaged", remedy="Run again: it is written anew."
            ) from None
        return rows

    def _load(self, unit_id: str) -> pa.Table | None:
        path = self._path(unit_id)
        try:
            return decode(self._files.read(path), path, schema=UNIT)
        except FileNotFoundError:
            return None
        except StoreDamagedError as error:
            _log.warning("a damaged unit is removed and written anew: %s", error)
            self._files.remove(path)
            return None

    def _path(self, unit_id: str) -> Path:
        return inside(self.folder, _UNITS, unit_id + PARQUET)


def _row_of(key: Key) -> list[Any]:
    return [key.user_id, key.kind, key.subject_id]


def _check(unit_id: str, found: Counter[Key], expected: Counter[Key]) -> None:
    if found == expected and expected.total() == len(expected):
        return
    raise AccountingError(
        f"unit {unit_id} has {expected.total()} tasks and {found.total()} outcomes: "
        f"{(expected - found).total()} keys are missing, {(found - expected).total()} are too "
        f"many, {expected.total() - len(expected)} tasks share a key; nothing of it is journalled"
    )
