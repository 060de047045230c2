"""Publication: the bucket files of the next snapshot, while they are being written.

Copy on write: a bucket that changes gets new files, all others are carried over by reference.
Nothing here is visible to a reader before a snapshot record names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from personalm.errors import AccountingError
from personalm.hashing import bucket_of
from personalm.store.merging import merge
from personalm.store.schema import SCHEMA_VERSION, TABLES, UNIT, keys_of, split_unit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from personalm.accounts import Counts, Label
    from personalm.records import Key
    from personalm.store.bucket_files import BucketFiles
    from personalm.store.journal import Journal
    from personalm.store.snapshots import DataFile, Snapshot


class Publication:
    """Merges units into the live tables, bucket by bucket."""

    def __init__(
        self,
        *,
        base: Snapshot | None,
        journal: Journal,
        bucket_files: BucketFiles,
        buckets: int,
    ) -> None:
        self._base = base
        self._files = {(f.table, f.bucket): f for f in base.files} if base else {}
        self._journal = journal
        self._bucket_files = bucket_files
        self._buckets = buckets
        self._num_results = 0
        self._num_rejections = 0
        self.has_changes = False

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Files of the next snapshot, by table and bucket."""
        return tuple(self._files[place] for place in sorted(self._files))

    def add(
        self,
        bucket: int,
        *,
        units: Sequence[str],
        withdrawn: Collection[Key],
        labels: Mapping[Key, Label],
    ) -> None:
        """Merge the units of one bucket, and write the tables of it that change."""
        brought = split_unit(self._gather(bucket, units))
        self._num_results += brought["results"].num_rows
        self._num_rejections += brought["rejections"].num_rows
        if not (units or withdrawn or labels):
            return
        live = {table: self._live(table, bucket) for table in TABLES}
        for table, rows in merge(live, brought, withdrawn=withdrawn, labels=labels).items():
            self.has_changes = True
            if rows.num_rows:
                self._files[table, bucket] = self._bucket_files.write(table, bucket, rows)
            else:
                del self._files[table, bucket]

    def renew(self) -> None:
        """Write anew what an older version has written: all files of a snapshot are alike."""
        if self._base is None or self._base.schema == SCHEMA_VERSION:
            return
        self.has_changes = True
        for file in self._base.files:
            if self._files.get((file.table, file.bucket)) is file:
                rows = self._bucket_files.read(file)
                renewed = self._bucket_files.write(file.table, file.bucket, rows)
                self._files[file.table, file.bucket] = renewed

    def check(self, counts: Counts) -> None:
        """Raise AccountingError where the units hold other outcomes than the run has counted."""
        if (self._num_results, self._num_rejections) != (counts.results, counts.rejections):
            raise AccountingError(
                f"{self._num_results} results and {self._num_rejections} rejections are "
                f"journalled, {counts.results} and {counts.rejections} were counted; "
                "nothing is published"
            )

    def _gather(self, bucket: int, units: Sequence[str]) -> pa.Table:
        tables = [self._journal.load(unit_id) for unit_id in units]
        gathered = pa.concat_tables([UNIT.empty_table(), *tables])
        users = {key.user_id for key in keys_of(gathered)}
        strangers = sum(bucket_of(user_id, self._buckets) != bucket for user_id in users)
        if strangers:
            raise AccountingError(
                f"{strangers} users of the units of bucket {bucket} belong to other buckets; "
                "nothing is published"
            )
        return gathered

    def _live(self, table: str, bucket: int) -> pa.Table:
        file = self._files.get((table, bucket))
        return self._bucket_files.read(file) if file else TABLES[table].empty_table()
