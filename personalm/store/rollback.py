"""Rollback: a kept snapshot becomes the newest one again, as a new record of the same files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.store.schema import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.store.bucket_files import BucketFiles
    from personalm.store.snapshots import Records, Snapshot


def commit_again(
    records: Records, bucket_files: BucketFiles, number: int, *, root: Path
) -> Snapshot:
    """Commit a kept snapshot as the next one; where it has the newest one's files, return that.

    Raises StoreError where it is not kept, and StoreDamagedError where a file of it is not as
    recorded; then nothing changes. `root` is the output folder, for messages.
    """
    base, next_number = records.head()
    try:
        wanted = records.read(number)
    except FileNotFoundError:
        wanted = None
    if base is None or wanted is None:
        kept = ", ".join(str(snapshot.number) for snapshot in records.kept()) or "none"
        raise StoreError(f"snapshot {number} of {root} is not kept", remedy=f"These are: {kept}.")
    for file in wanted.files:
        bucket_files.read(file, columns=KEY)
    if wanted.files == base.files:
        return base
    snapshot = replace(
        wanted,
        number=next_number,
        parent=base.number,
        created_at=datetime.now(UTC),
        action=f"rollback to {number}",
    )
    records.create(snapshot)
    return snapshot
