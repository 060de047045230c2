"""Verify: every file of an output folder against its record, and every key for one live row."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.hashing import bucket_of
from personalm.store.artefacts import Artefacts
from personalm.store.bucket_files import BucketFiles
from personalm.store.reading import require_output
from personalm.store.schema import KEY, keys_of
from personalm.store.snapshots import Records
from personalm.store.store import Store
from personalm.store.tidying import list_data, list_unfinished, named_by
from personalm.store.views import is_shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from personalm.records import Key
    from personalm.store.snapshots import Snapshot


def verify(path: str | Path) -> tuple[str, ...]:
    """Return the problems of an output folder in words; none says that all is as recorded.

    All kept snapshots are checked. Leftovers of a killed run are no problem; see
    `find_leftovers`.
    """
    layout, files = require_output(path)
    num_buckets = Store.require(path).num_buckets
    records = Records(files, layout)
    bucket_files = BucketFiles(files, layout)
    snapshots, problems = _read_records(records)
    damaged = dict(_check_files(bucket_files, snapshots))
    # What has gone meanwhile was of a snapshot that is no longer kept.
    still_named = {file.path for snapshot in records.kept() for file in snapshot.files}
    problems += [problem for path, problem in damaged.items() if path in still_named]
    newest = snapshots[-1] if snapshots else None
    while newest:
        found: list[str] = []
        if damaged.keys().isdisjoint(file.path for file in newest.files):
            found += _check_keys(bucket_files, newest, num_buckets)
        if not is_shown(files, layout, newest):
            found.append(
                f"{layout.latest} does not lead to the files of snapshot {newest.number}; "
                "the next run puts it right"
            )
        # A run may have published meanwhile: `latest` leads to its files, and older ones may go.
        newer = None
        with suppress(StoreError):
            newer = records.newest()
        if newer is None or newer.number == newest.number:
            problems += found
            break
        newest = newer
    return (*problems, *Artefacts(layout, files).find_problems())


def find_leftovers(path: str | Path) -> tuple[str, ...]:
    """Return the files that no snapshot needs, by their paths in the folder.

    A killed run leaves them, or one that is under way has written them just now.
    """
    layout, files = require_output(path)
    named = named_by(Records(files, layout))
    unfinished = [str(path.relative_to(layout.root)) for path in list_unfinished(files, layout)]
    return tuple(sorted([*unfinished, *(list_data(files, layout) - named)]))


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
    try:
        yield from _check_buckets(bucket_files, snapshot, num_buckets)
    except StoreError as error:
        yield str(error)


def _check_buckets(
    bucket_files: BucketFiles, snapshot: Snapshot, num_buckets: int
) -> Iterator[str]:
    def keys_in(*tables: str) -> list[Key]:
        files = [file for table in tables for file in snapshot.files_of(table, bucket)]
        return [key for file in files for key in keys_of(bucket_files.read(file, columns=KEY))]

    for bucket in sorted({file.bucket for file in snapshot.files}):
        keys = keys_in("results", "rejections")
        twice = len(keys) - len(set(keys))
        if twice:
            yield f"bucket {bucket}: {twice} keys are live twice"
        strangers = sum(bucket_of(key.user_id, num_buckets) != bucket for key in keys)
        if strangers:
            yield f"bucket {bucket}: {strangers} rows belong to other buckets"
        orphans = len(set(keys_in("candidates")) - set(keys))
        if orphans:
            yield f"bucket {bucket}: {orphans} keys have candidates and no live row"
