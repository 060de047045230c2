"""Forgetting: nothing of some users is left in an output folder, and everybody else's rows stay.

The newest snapshot is followed by one without them. Then every older snapshot goes that holds
them, with its files and its view, and so does what killed runs left behind: units with their
rows, spilled inputs, unfinished files. They are taken out of what was made of all users together;
where nobody knows how to, it goes. Whatever step it breaks off at, the same call ends the work. It
erases files; it does not overwrite the blocks of the disk, and reaches no copy elsewhere.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from personalm.accounts import Counts
from personalm.errors import StoreDamagedError
from personalm.hashing import bucket_of, user_digest
from personalm.store.artefacts import Artefacts
from personalm.store.bucket_files import BucketFiles
from personalm.store.journal import Journal
from personalm.store.layout import Layout
from personalm.store.notes import erase_notes
from personalm.store.object_files import files_at
from personalm.store.schema import TABLES
from personalm.store.scratch import clear_scratch
from personalm.store.snapshots import DataFile, Records
from personalm.store.store import Store
from personalm.store.tidying import list_data, list_unfinished, named_by
from personalm.store.views import ensure_shown, remove_views

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from personalm.store.artefacts import Chunks
    from personalm.store.objects import Objects

    TakeOut: TypeAlias = Callable[[Path, Collection[str]], Chunks | None]
    """Gives what is left of an artefact's file without some users, `None` where it holds none."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was erased: live rows of each table, older snapshots, units of unfinished runs.

    `snapshot` is the number of the snapshot without the users, `None` where no live row was
    theirs. `artefacts` are the names of those that held the users, or may have, `num_notes` the
    files of notes that did.
    """

    snapshot: int | None = None
    num_rows: Mapping[str, int] = field(default_factory=dict)
    num_snapshots: int = 0
    num_units: int = 0
    artefacts: tuple[str, ...] = ()
    num_notes: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the folder held nothing of the users."""
        found = (self.snapshot, self.num_snapshots, self.num_units, self.artefacts, self.num_notes)
        return not any(found)


def forget(
    path: str | Path,
    user_ids: Collection[str],
    *,
    take_out: Mapping[str, TakeOut] | None = None,
    files: Objects | None = None,
) -> Erasure:
    """Erase all that an output folder holds of some users, given by their canonical ids.

    `take_out` says, by name, how they are taken out of an artefact; one that it does not name is
    removed. Raises StoreLockedError at once where a run is under way, and StoreError where
    something cannot be read or removed; the same call goes on from there.
    """
    files = files or files_at(path)
    store = Store.require(path, files)
    with store.lock():
        eraser = _Eraser(Layout.at(path), files, frozenset(user_ids), store.num_buckets)
        num_units = eraser.clear_runs()
        snapshot, num_rows = eraser.publish_without()
        num_snapshots = eraser.remove_snapshots()
        artefacts = eraser.clear_artefacts(take_out or {})
        num_notes = eraser.clear_notes()
        eraser.sweep()
    return Erasure(
        snapshot=snapshot,
        num_rows=num_rows,
        num_snapshots=num_snapshots,
        num_units=num_units,
        artefacts=artefacts,
        num_notes=num_notes,
    )


class _Eraser:
    """The steps of one erasure, each of which can be done again."""

    def __init__(
        self, layout: Layout, files: Objects, user_ids: frozenset[str], num_buckets: int
    ) -> None:
        self._layout = layout
        self._files = files
        self._records = Records(files, layout)
        self._bucket_files = BucketFiles(files, layout)
        self._users = pa.array(sorted(user_ids), pa.string())
        self._user_ids = user_ids
        self._buckets = {bucket_of(user_id, num_buckets) for user_id in user_ids}
        self._is_held: dict[str, bool] = {}
        self._shut_out: frozenset[str] = frozenset()

    def clear_runs(self) -> int:
        """Remove of unfinished runs what holds or may hold the users; return their units."""
        published = self._records.by_run()
        num_units = 0
        for name in self._files.names(self._layout.runs):
            folder = self._layout.runs / name
            try:
                journal = Journal.attach(folder, self._files)
            except StoreDamagedError:
                self._files.remove_tree(folder)
                continue
            num_units += journal.erase(self._user_ids)
            if journal.run_id in published:
                self._files.remove_tree(folder)
        clear_scratch(self._layout.runs, self._files.names(self._layout.runs))
        return num_units

    def publish_without(self) -> tuple[int | None, dict[str, int]]:
        """Commit a snapshot without the users, if the newest one holds any."""
        base, number = self._records.head()
        if base is None:
            return None, {}
        kept: list[DataFile] = []
        erased: Counter[str] = Counter()
        for file in base.files:
            if not self._holds(file, is_needed=True):
                kept.append(file)
                continue
            rows = self._bucket_files.read(file)
            others = rows.filter(pc.invert(pc.is_in(rows["user_id"], self._users)))
            erased[file.table] += rows.num_rows - others.num_rows
            if others.num_rows:
                kept.append(self._bucket_files.write(file.table, file.bucket, others))
        if not erased:
            ensure_shown(self._files, self._layout, base)
            return None, {}
        snapshot = replace(
            base,
            number=number,
            # Its parent holds the users, and goes.
            parent=None,
            created_at=datetime.now(UTC),
            files=tuple(kept),
            counts=Counts(withdrawn=erased["results"] + erased["rejections"]),
            action="forget",
        )
        # Whoever has written one of these can commit it no more once the number is taken.
        self._shut_out = list_data(self._files, self._layout)
        self._records.create(snapshot)
        ensure_shown(self._files, self._layout, snapshot)
        return snapshot.number, {table: erased[table] for table in TABLES}

    def remove_snapshots(self) -> int:
        """Remove the older snapshots that hold the users, and those that cannot be read."""
        newest = self._records.newest()
        num_removed = 0
        for number in self._records.numbers():
            if newest and number == newest.number:
                continue
            try:
                snapshot = self._records.read(number)
                # A barred number holds nobody, and goes on keeping others from it.
                is_held = snapshot is not None and any(map(self._holds, snapshot.files))
            except StoreDamagedError:
                is_held = True
            if is_held:
                # The record goes before its files: what a record names is always there.
                self._records.remove(number)
                num_removed += 1
        return num_removed

    def clear_artefacts(self, take_out: Mapping[str, TakeOut]) -> tuple[str, ...]:
        """Take the users out of each artefact, or remove it; return the names of those."""
        return clear_artefacts(Artefacts(self._layout, self._files), self._user_ids, take_out)

    def clear_notes(self) -> int:
        """Remove what was noted about the users; return how many files held it."""
        owners = set(map(user_digest, self._user_ids))
        return erase_notes(self._files, self._layout.notes, owners)

    def sweep(self) -> None:
        """Remove every file that no snapshot names, every view without one, every temporary.

        Whoever was about to commit such a file, having lost the lock, is shut out first.
        """
        layout, files = self._layout, self._files
        remove_views(files, layout, (snapshot.number for snapshot in self._records.kept()))
        for unfinished in list_unfinished(files, layout):
            files.remove(unfinished)
        unnamed = list_data(files, layout) - named_by(self._records)
        if unnamed - self._shut_out:
            self._records.bar()
        for path in sorted(unnamed):
            files.remove(layout.data(path))

    def _holds(self, file: DataFile, *, is_needed: bool = False) -> bool:
        """Say whether a file has rows of the users; one that cannot be read may have some.

        Raises StoreDamagedError instead where the file is needed.
        """
        if file.bucket not in self._buckets:
            return False
        if file.path not in self._is_held:
            try:
                found = self._bucket_files.read(file, columns=("user_id",))["user_id"]
            except StoreDamagedError as error:
                if is_needed:
                    raise
                _log.warning("a snapshot that cannot be read is removed: %s", error)
                return True
            self._is_held[file.path] = bool(pc.any(pc.is_in(found, self._users)).as_py())
        return self._is_held[file.path]


def clear_artefacts(
    artefacts: Artefacts, user_ids: Collection[str], take_out: Mapping[str, TakeOut]
) -> tuple[str, ...]:
    """Take users out of each artefact of a folder, or remove it; return the names of those."""
    return tuple(
        name for name in artefacts.names if _clear(artefacts, name, user_ids, take_out.get(name))
    )


def _clear(
    artefacts: Artefacts, name: str, user_ids: Collection[str], take_out: TakeOut | None
) -> bool:
    """Rid an artefact of some users; say whether it held them, or may have."""
    try:
        found = artefacts.latest(name)
        if found is None:
            return False
        if take_out is None:
            artefacts.remove(name)
            return True
        with artefacts.on_this_machine(found) as path:
            rest = take_out(path, user_ids)
    except (StoreDamagedError, FileNotFoundError) as error:
        _log.warning("%s cannot be read and is removed: %s", name, type(error).__name__)
        artefacts.remove(name)
        return True
    if rest is None:
        artefacts.tidy()
        return False
    artefacts.publish(name, rest, about=found.about, edition=found.edition)
    return True
