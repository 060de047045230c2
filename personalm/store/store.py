"""Store: one output folder, from the driver's side.

A driver locks it, starts or resumes a run, and publishes what the run's journal holds. Workers
open it too, to see what is live, and write to the journal alone. Only data that a snapshot record
names exists for a reader, so the creation of the next record is the commit.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from personalm.accounts import Drops
from personalm.errors import AccountingError, StoreError
from personalm.store.artefacts import Artefacts
from personalm.store.bucket_files import BucketFiles
from personalm.store.identity import create_identity, read_identity
from personalm.store.journal import Journal
from personalm.store.layout import Layout, inside
from personalm.store.live import read_live
from personalm.store.notes import Notes, install_notes, name_of
from personalm.store.object_files import files_at
from personalm.store.publication import Publication
from personalm.store.resuming import resume_run
from personalm.store.rollback import commit_again
from personalm.store.scratch import clear_scratch
from personalm.store.snapshots import Records, Snapshot
from personalm.store.tidying import RETAINED, list_data, tidy
from personalm.store.views import ensure_shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from personalm.accounts import Counts, Label, LiveRow
    from personalm.records import Key
    from personalm.store.objects import Objects

_log = logging.getLogger(__name__)


class Store:
    """An output folder. `num_buckets` is fixed when it is made."""

    def __init__(
        self, layout: Layout, *, num_buckets: int, files: Objects, keep: int = RETAINED
    ) -> None:
        self.num_buckets = num_buckets
        self._keep = keep
        self._layout = layout
        self._files = files
        self._records = Records(files, layout)
        self._bucket_files = BucketFiles(files, layout)
        self._is_locked = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        buckets: int,
        keep: int = RETAINED,
        files: Objects | None = None,
    ) -> Store:
        """Open an output folder, or make it with so many buckets.

        A folder that exists keeps its number of buckets. `keep` is the number of snapshots that a
        commit leaves. Raises StoreError where another version has written the folder.
        """
        files = files or files_at(path)
        layout = Layout.at(path)
        num_buckets = read_identity(files, layout)
        if num_buckets is None:
            files.make_folder(layout.root)
            num_buckets = create_identity(files, layout, buckets)
        return cls(layout, num_buckets=num_buckets, files=files, keep=keep)

    @classmethod
    def find(cls, path: str | Path, files: Objects | None = None) -> Store | None:
        """Open an output folder to read it, `None` where there is none. Nothing is written."""
        files = files or files_at(path)
        layout = Layout.at(path)
        num_buckets = read_identity(files, layout)
        if num_buckets is None:
            return None
        return cls(layout, num_buckets=num_buckets, files=files)

    @classmethod
    def require(cls, path: str | Path, files: Objects | None = None) -> Store:
        """Open an output folder that there must be. Raises StoreError where it is none."""
        store = cls.find(path, files)
        if store is None:
            raise StoreError(
                f"{path} is no output folder of personalm",
                remedy="Name the folder that `personalm run` writes to.",
            )
        return store

    @property
    def artefacts(self) -> Artefacts:
        """What was made of all users together."""
        return Artefacts(self._layout, self._files)

    def notes(self, bucket: int, journal: Journal, *, max_bytes: int) -> Notes:
        """Return what earlier runs worked out about the people of a bucket.

        What a run adds is written to its own folder and counts once it is published. `max_bytes`
        are those of all buckets together.
        """
        name = name_of(bucket)
        return Notes(
            self._files,
            (inside(journal.notes_folder, name), inside(self._layout.notes, name)),
            max_bytes=max_bytes // self.num_buckets,
        )

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot, `None` before the first."""
        return self._records.newest()

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots that are kept, oldest first."""
        return self._records.kept()

    def live(self, bucket: int) -> dict[Key, LiveRow]:
        """Return what a planner needs to know of each live result and rejection of a bucket."""
        snapshot = self.snapshot
        return read_live(self._bucket_files, snapshot, bucket) if snapshot else {}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one run. Raises StoreLockedError at once where another run does."""
        note = f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        with self._files.lock(self._layout.lock, note):
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def start_run(self, fingerprint: str) -> Journal:
        """Resume the unfinished run of this fingerprint, or begin one; others are deleted.

        Whatever an earlier run left undone after its commit is done first.
        """
        self._settle()
        published = frozenset(self._records.by_run())
        journal = resume_run(self._files, self._layout, fingerprint, published=published)
        clear_scratch(self._layout.runs, self._files.names(self._layout.runs))
        if journal is None:
            run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            self._files.make_folder(self._layout.runs, private=True)
            folder = self._layout.run(run_id)
            return Journal.begin(folder, fingerprint=fingerprint, files=self._files)
        journal.delete_spill()
        return journal

    def publish(
        self,
        journal: Journal,
        *,
        units: Mapping[int, Sequence[str]],
        withdrawn: Mapping[int, Collection[Key]],
        counts: Counts,
        labels: Mapping[int, Mapping[Key, Label]] | None = None,
        drops: Drops | None = None,
    ) -> Snapshot | None:
        """Commit what a run brings as the next snapshot; `None` where nothing changed.

        `units` are the units of this run's plan by bucket; others in the journal are ignored.
        `withdrawn` are keys by bucket whose live rows go, `labels` those of rows that stay and
        answer another request. `drops` go into the summary. A run that is published already gives
        back its snapshot. Raises AccountingError where requests and
        outcomes do not add up, and StoreError where another publisher was first; then nothing is
        published.
        """
        self._require_lock()
        snapshot, listed = self._records.by_run().get(journal.run_id), None
        if snapshot is None:
            snapshot, listed = self._merge(journal, units, withdrawn, labels or {}, counts)
        ensure_shown(self._files, self._layout, self.snapshot)
        self.record_run(
            {
                "run_id": journal.run_id,
                "finished_at": datetime.now(UTC).isoformat(),
                "snapshot": snapshot and snapshot.number,
                "counts": asdict(counts),
                "drops": asdict(drops or Drops()),
            }
        )
        self._install_notes(journal)
        self.artefacts.tidy()
        tidy(
            self._files,
            self._layout,
            self._records,
            keep=self._keep,
            ended=journal.folder,
            listed=listed,
        )
        return snapshot

    def rollback(self, number: int) -> Snapshot:
        """Commit a kept snapshot again, as the newest one; those in between are kept too.

        Raises StoreError where it is not kept, and StoreDamagedError where a file of it is not as
        recorded; then nothing changes.
        """
        self._settle()
        snapshot = commit_again(self._records, self._bucket_files, number, root=self._layout.root)
        ensure_shown(self._files, self._layout, self.snapshot)
        return snapshot

    def vacuum(self, *, keep: int) -> int:
        """Remove all but the newest `keep` snapshots and what unfinished commits have left.

        Returns the number of data files that went. The journal of an unfinished run stays.
        """
        return self._settle(keep)

    def record_run(self, summary: Mapping[str, object]) -> None:
        """Keep the summary of the last run: `run_id`, `snapshot`, `counts` and what else there is.

        `publish` does it for every run that gets that far.
        """
        self._files.replace(self._layout.last_run, json.dumps(dict(summary), indent=1).encode())

    def _merge(
        self,
        journal: Journal,
        units: Mapping[int, Sequence[str]],
        withdrawn: Mapping[int, Collection[Key]],
        labels: Mapping[int, Mapping[Key, Label]],
        counts: Counts,
    ) -> tuple[Snapshot | None, frozenset[str] | None]:
        """Write the bucket files that change, check the accounts, and create the record.

        Returns the snapshot, and the data files that lay there before it.
        """
        if not counts.is_balanced:
            raise AccountingError(f"requests and outcomes do not add up: {counts}")
        base, number = self._records.head()
        publication = Publication(
            base=base, journal=journal, bucket_files=self._bucket_files, buckets=self.num_buckets
        )
        for bucket in sorted({*units, *withdrawn, *labels}):
            publication.add(
                bucket,
                units=units.get(bucket, ()),
                withdrawn=withdrawn.get(bucket, frozenset()),
                labels=labels.get(bucket, {}),
            )
        publication.renew()
        publication.check(counts)
        # The first snapshot is made even without a row: readers find the tables, empty.
        if base and not publication.has_changes:
            return None, None
        snapshot = Snapshot(
            number=number,
            parent=base.number if base else None,
            run_id=journal.run_id,
            created_at=datetime.now(UTC),
            fingerprint=journal.fingerprint,
            files=publication.files,
            counts=counts,
        )
        listed = list_data(self._files, self._layout)
        self._records.create(snapshot)
        return snapshot, listed

    def _install_notes(self, journal: Journal) -> None:
        """Take over what a run has noted; without it the next run only takes longer."""
        try:
            install_notes(self._files, journal.notes_folder, self._layout.notes)
        except (StoreError, FileNotFoundError) as error:
            _log.warning("%s: the notes of the run are lost: %s", self._layout.root, error)

    def _settle(self, keep: int | None = None) -> int:
        """Do what an earlier command left undone; return the number of data files that went."""
        self._require_lock()
        ensure_shown(self._files, self._layout, self.snapshot)
        self.artefacts.tidy()
        return tidy(
            self._files, self._layout, self._records, keep=self._keep if keep is None else keep
        )

    def _require_lock(self) -> None:
        if not self._is_locked:
            raise StoreError(
                f"{self._layout.root} is not locked by this run",
                remedy="Start and publish a run within `with store.lock():`.",
            )
