"""Live rows: what a planner needs to know of what is published, without the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.accounts import Label, LiveRow
from personalm.store.schema import KEY, keys_of

if TYPE_CHECKING:
    from personalm.records import Key
    from personalm.store.bucket_files import BucketFiles
    from personalm.store.snapshots import Snapshot

_MARKS = ("fingerprint", "request_id", "is_derived")


def read_live(bucket_files: BucketFiles, snapshot: Snapshot, bucket: int) -> dict[Key, LiveRow]:
    """Return each live result and rejection of a bucket."""
    live: dict[Key, LiveRow] = {}
    for table in ("results", "rejections"):
        for file in snapshot.files_of(table, bucket):
            rows = bucket_files.read(file, columns=(*KEY, *_MARKS))
            marks = (rows[name].to_pylist() for name in _MARKS)
            for key, fingerprint, request_id, is_derived in zip(keys_of(rows), *marks, strict=True):
                live[key] = LiveRow(
                    fingerprint=str(fingerprint),
                    is_rejection=table == "rejections",
                    label=Label(request_id=request_id, is_derived=bool(is_derived)),
                )
    return live
