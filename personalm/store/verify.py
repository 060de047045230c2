"""Verify: every file of an output folder against its record, and every key for one live row."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.hashing import bucket_of
from personalm.store.bucket_files import BucketFiles
from personalm.store.files import TEMPORARY
from personalm.store.reading import require_output
from personalm.store.schema import KEY, TABLES, keys_of
from personalm.store.snapshots import Records
from personalm.store.store import Store
from personalm.store.views import is_shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from personalm.records import Key
    from personalm.store.files import LocalFiles
    from personalm.store.layout import Layout
    from personalm.store.snapshots import Snapshot

_log = logging.getLogger(__name__)


def verify(path: str | Path) -> tuple[str, ...]:
    """Return the problems of an output folder in words; none says that all is as recorded.

    All kept snapshots are checked. Leftovers of a killed run are no problem: they are logged, and
    the next run removes them.
    """
    layout, files = require_output(path)
    records = Records(files, layout)
    bucket_files = BucketFiles(files, layout)
    snapshots, problems = _read_records(records)
    damaged = dict(_check_files(bucket_files, snapshots))
    problems += damaged.values()
    if snapshots:
        newest = snapshots[-1]
        if damaged.keys().isdisjoint(file.path for file in newest.files):
            store = Store.find(path)
            problems += _check_keys(bucket_files, newest, store.num_buckets if store else 1)
        if not is_shown(files, layout, newest):
            problems.append(
                f"{layout.latest} does not lead to the files of snapshot {newest.number}; "
                "the next run puts it right"
            )
    _note_leftovers(files, layout, snapshots)
    return tuple(problems)


def _read_records(records: Records) -> tuple[list[Snapshot], list[str]]:
    snapshots, problems = [], []
    for number in records.numbers():
        # A record that has gone since the folder was listed was too old to be kept.
        with suppress(FileNotFoundError):
            try:
                snapshot = records.read(number)
            except StoreError as error:
                problems.append(str(error))
            else:
                snapshots += [snapshot] if snapshot else []
    return snapshots, problems


def _check_files(bucket_files: BucketFiles, snapshots: list[Snapshot]) -> Iterator[tuple[str, str]]:
    """Yield the path of each file that is not as recorded, and what is wrong with it."""
    named = {file.path: file for snapshot in snapshots for file in snapshot.files}
    for path, file in sorted(named.items()):
        try:
            # The checksum covers all bytes; the columns of the key are enough to be decoded.
            bucket_files.read(file, columns=KEY)
        except StoreError as error:
            yield path, str(error)


def _check_keys(bucket_files: BucketFiles, snapshot: Snapshot, num_buckets: int) -> Iterator[str]:
    """Yield what is wrong with the keys, bucket by bucket: a key has its place in one of them."""
    for bucket in sorted({file.bucket for file in snapshot.files}):
        keys: list[Key] = []
        for table in ("results", "rejections"):
            for file in snapshot.files_of(table, bucket):
                keys += keys_of(bucket_files.read(file, columns=KEY))
        twice = len(keys) - len(set(keys))
        if twice:
            yield f"bucket {bucket}: {twice} keys are live twice"
        strangers = sum(bucket_of(key.user_id, num_buckets) != bucket for key in keys)
        if strangers:
            yield f"bucket {bucket}: {strangers} rows belong to other buckets"


def _note_leftovers(files: LocalFiles, layout: Layout, snapshots: list[Snapshot]) -> None:
    named = {file.path for snapshot in snapshots for file in snapshot.files}
    found = [f"_data/{table}/{n}" for table in TABLES for n in files.names(layout.table(table))]
    folders = (layout.root, layout.snapshots)
    found += [name for f in folders for name in files.names(f) if name.startswith(TEMPORARY)]
    leftovers = [path for path in found if path not in named]
    if leftovers:
        _log.info("%s: %d leftovers; the next run removes them", layout.root, len(leftovers))
