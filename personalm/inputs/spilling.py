"""The work of a spill: requests first, then profiles and interactions, then settle buckets.

Requests come first, because they say which voices and threads which bucket needs a copy of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import InputError
from personalm.inputs.buckets import Buckets, targets_of
from personalm.inputs.contract import INTERACTIONS, ITEMS, PROFILES, REQUESTS, Contract
from personalm.inputs.replies import Conversations
from personalm.inputs.report import Effect, InputReport, Tally, make_report
from personalm.inputs.requests import SCHEMA as REQUEST_ROWS
from personalm.inputs.requests import RequestRows
from personalm.inputs.routes import Routes
from personalm.inputs.settling import (
    newest_interactions,
    settle_interactions,
    settle_profiles,
    settle_requests,
    with_user,
)
from personalm.inputs.superseded import Superseded, superseded_of_all
from personalm.inputs.tables import InputTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from personalm.inputs.columns import Batch
    from personalm.settings import Inputs

SCHEMAS: Mapping[str, pa.Schema] = {
    "profiles": PROFILES.schema,
    "interactions": INTERACTIONS.schema,
    "requests": REQUEST_ROWS,
    "voice_profiles": PROFILES.schema,
    "voice_interactions": INTERACTIONS.schema,
    "turns": INTERACTIONS.schema,
}
"""What a spill holds in buckets."""

_OLDER = (
    settle_profiles,
    "user_id",
    "rows dropped: the user has a newer profile",
    "Keep one row a user, or say with updated_at which is newest.",
)
_COPIES = (
    settle_interactions,
    "text_id",
    "rows dropped: the very same row is there already",
    "Look whether a file was delivered twice.",
)
_SETTLERS = {
    "profiles": _OLDER,
    "interactions": _COPIES,
    "voice_profiles": _OLDER,
    "voice_interactions": _COPIES,
}


class Spilling:
    """One spill while it is written."""

    def __init__(
        self, inputs: Inputs, folder: Path, *, num_buckets: int, on_rows: Callable[[int], None]
    ) -> None:
        """Open every table and look at every file, items included, before any work.

        Raises InputError for files and columns that do not fit.
        """
        self.has_requests = inputs.has_requests
        self._inputs = inputs
        self._replies = inputs.replies
        self._folder = folder
        self._tables = {
            c.table: InputTable.find(inputs, c) for c in (REQUESTS, PROFILES, INTERACTIONS)
        }
        self._items = InputTable.find(inputs, ITEMS)
        self._items_tally = Tally(ITEMS.table)
        if not any(self._tables.values()):
            raise InputError(
                "the settings name no profiles, interactions or requests",
                remedy='Name at least one, for example inputs.interactions = "FOLDER/*.parquet".',
            )
        self._max_user_interactions = inputs.max_user_interactions
        self._num_buckets = num_buckets
        self._on_rows = on_rows
        self._buckets = {
            name: Buckets(folder / name, schema, num_buckets=num_buckets)
            for name, schema in SCHEMAS.items()
        }
        self._tallies = {table: Tally(table) for table in ("profiles", "interactions", "requests")}
        self._voices = Routes(num_buckets)
        self._threads = Routes(num_buckets)
        self._requests = RequestRows()
        self._superseded = Superseded()

    def write(self) -> tuple[InputReport, dict[str, tuple[int, ...]]]:
        """Read every table once; return the report, and how many rows of what each bucket has."""
        for buckets in self._buckets.values():
            buckets.create()
        self._find_superseded()
        self._spill_requests()
        self._spill(PROFILES)
        self._spill(INTERACTIONS)
        for buckets in self._buckets.values():
            buckets.flush()
        for bucket in range(self._num_buckets):
            self._settle(bucket)
        read = {table for table, found in self._tables.items() if found}
        read |= {REQUESTS.table} if self.has_requests else set()
        tallies = [tally for tally in self._tallies.values() if tally.table in read]
        if self._items:
            self._items.note_skipped(self._items_tally)
        num_rows = {
            name: tuple(buckets.written[bucket] for bucket in range(self._num_buckets))
            for name, buckets in self._buckets.items()
        }
        return make_report(tallies, unread=(self._items_tally,)), num_rows

    def _find_superseded(self) -> None:
        interactions = self._tables[INTERACTIONS.table]
        if interactions is not None and interactions.has_lists:
            self._superseded = superseded_of_all(
                self._inputs, self._folder / "ages", num_buckets=self._num_buckets
            )

    def _read(self, contract: Contract) -> Iterator[Batch]:
        table = self._tables[contract.table]
        if table is None:
            return
        for batch in table.batches(self._tallies[contract.table]):
            self._on_rows(len(batch.rows))
            yield batch

    def _wanted(self) -> Iterator[Batch]:
        """Yield the requests, of their table or derived from the threads."""
        yield from self._read(REQUESTS)
        table = self._tables[INTERACTIONS.table]
        if self._replies is None or table is None:
            return
        conversations = Conversations(self._folder / "conversations", num_buckets=self._num_buckets)
        # The rows are read again for their users, and counted then.
        uncounted = Tally(INTERACTIONS.table)
        for batch in table.batches(uncounted):
            conversations.add(self._named(batch, uncounted).rows)
        yield from conversations.derive(self._replies, self._tallies[REQUESTS.table])

    def _named(self, batch: Batch, tally: Tally) -> Batch:
        """Return the rows that are somebody's, as things stand."""
        return self._superseded.drop(with_user(batch, tally), tally)

    def _spill_requests(self) -> None:
        for batch in self._wanted():
            rows = self._requests.complete(batch)
            targets = targets_of(rows.column("user_id"), self._num_buckets)
            self._buckets["requests"].add(rows, targets)
            self._voices.add(_others(rows), targets)
            self._threads.add(rows.column("thread_id"), targets)
        self._voices.close()
        self._threads.close()

    def _spill(self, contract: Contract) -> None:
        """Lay the rows of users into buckets, and copies where they are needed."""
        for batch in self._read(contract):
            named = self._named(batch, self._tallies[contract.table])
            rows = named.rows
            targets = targets_of(rows.column("user_id"), self._num_buckets)
            self._buckets[contract.table].add(rows, targets)
            self._copy(rows, "user_id", self._voices, f"voice_{contract.table}")
            if contract is INTERACTIONS:
                self._count_empty(named)
                turns = rows.filter(pc.is_valid(rows.column("text")))
                self._copy(turns, "thread_id", self._threads, "turns")

    def _copy(self, rows: pa.RecordBatch, column: str, routes: Routes, name: str) -> None:
        for chosen, targets in routes.copies(rows.column(column)):
            self._buckets[name].add(rows.take(pa.array(chosen)), targets)

    def _count_empty(self, batch: Batch) -> None:
        """Count rows that say nothing; they are kept, so that their users are served."""
        text, item = batch.rows.column("text"), batch.rows.column("item_id")
        empty = pc.and_(pc.is_null(text), pc.is_null(item))
        what = "rows have neither a text nor an item"
        self._tallies["interactions"].mark(batch.place("text"), empty, Effect.KEPT, what)

    def _settle(self, bucket: int) -> None:
        """Sort a bucket, and take out what is there twice."""
        for name, (settle, column, why, remedy) in _SETTLERS.items():
            kept, num_dropped = settle(self._buckets[name].read(bucket))
            self._drop(name, column, why, num_dropped, remedy)
            if settle is settle_interactions:
                kept, num_dropped = newest_interactions(kept, self._max_user_interactions)
                self._drop_older(name, num_dropped)
            self._buckets[name].replace(bucket, kept)
        requests = settle_requests(self._buckets["requests"].read(bucket))
        self._requests.refuse_twice(requests)
        self._buckets["requests"].replace(bucket, requests)

    def _drop_older(self, name: str, num_dropped: int) -> None:
        why = f"rows dropped: the user has {self._max_user_interactions:,} newer ones"
        remedy = "Set inputs.max_user_interactions to use more of them."
        self._drop(name, "user_id", why, num_dropped, remedy)

    def _drop(self, name: str, column: str, why: str, num_dropped: int, remedy: str) -> None:
        if name in self._tallies:
            self._tallies[name].add(Effect.DROPPED, why, num_dropped, column=column, remedy=remedy)


def _others(requests: pa.RecordBatch) -> pa.Array[Any]:
    """Return the voices that are not the user's own."""
    voices, users = requests.column("voice_id"), requests.column("user_id")
    return pc.if_else(pc.equal(voices, users), pa.scalar(None, pa.string()), voices)
