"""Rows of profiles that lost against a newer row of their user: the lists in them count no more.

A list that the user has shortened since is still whole in the older row. Which rows lost is known
before any list is read, because the texts in one may go to other users too, as turns of a thread.
Only ids and times are read for that, and only where a file of profiles holds lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from personalm.inputs.buckets import Buckets, targets_of
from personalm.inputs.columns import Where
from personalm.inputs.contract import PROFILES, Contract
from personalm.inputs.report import Effect, Tally
from personalm.inputs.settling import find_older, with_user
from personalm.inputs.tables import InputTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from personalm.inputs.columns import Batch
    from personalm.settings import Inputs

_AGES = Contract(
    table=PROFILES.table,
    columns={name: PROFILES.columns[name] for name in ("user_id", "updated_at")},
    required=(("user_id",),),
    has_facts=False,
)
_PLACE = "place"
_SCHEMA = _AGES.schema.append(pa.field(_PLACE, pa.int64()))
_WHY = "rows dropped: they lie in a profile of which the user has a newer one"
_REMEDY = "Keep one row a user, or say with updated_at which is newest."


class Superseded:
    """The rows of profiles that lost; none by default."""

    def __init__(
        self, firsts: Mapping[str, int] | None = None, lost: NDArray[np.bool_] | None = None
    ) -> None:
        """Take a flag for each row of all files; `firsts` says where those of a file begin."""
        self._lost = np.zeros(0, np.bool_) if lost is None else lost
        self._firsts = firsts if firsts and self._lost.any() else {}

    def drop(self, batch: Batch, tally: Tally) -> Batch:
        """Return the rows but those that lie in the list of a row that lost.

        Each must name its user: other rows of profiles were not looked at.
        """
        first = self._firsts.get(batch.file) if batch.is_nested else None
        if first is None:
            return batch
        kept = ~self._lost[first + batch.numbers.to_numpy()]
        num_dropped = len(kept) - int(kept.sum())
        tally.add(Effect.DROPPED, _WHY, num_dropped, column="user_id", remedy=_REMEDY)
        return batch.filter(pa.array(kept)) if num_dropped else batch


def superseded_of_all(inputs: Inputs, folder: Path, *, num_buckets: int) -> Superseded:
    """Find the rows that lost among all, by way of a folder of its own, empty afterwards."""
    buckets = Buckets(folder, _SCHEMA, num_buckets=num_buckets)
    buckets.create()
    ages = _Ages()
    for rows in ages.read(inputs):
        buckets.add(rows, targets_of(rows.column("user_id"), num_buckets))
    buckets.flush()
    return ages.compare(_taken(buckets, num_buckets))


def superseded_among(inputs: Inputs, users: Iterable[str]) -> Superseded:
    """Find the rows that lost of some users, held in memory."""
    wanted = frozenset(users)
    if not wanted:
        return Superseded()
    ages = _Ages()
    rows = list(ages.read(inputs, Where(ids={"user_id": wanted})))
    return ages.compare([pa.Table.from_batches(rows, schema=_SCHEMA)])


class _Ages:
    """Users and times of rows of profiles, each with a number of its own over all files."""

    def __init__(self) -> None:
        self._firsts: dict[str, int] = {}
        self._num_places = 0

    def read(self, inputs: Inputs, where: Where | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, or those chosen, in the order of files and rows."""
        mapping = inputs.columns.get(_AGES.table, {})
        ours = {name: source for name, source in mapping.items() if name in _AGES.columns}
        narrow = inputs.model_copy(update={"columns": {**inputs.columns, _AGES.table: ours}})
        uncounted = Tally(_AGES.table)
        for batch in InputTable(narrow, _AGES).batches(uncounted, where=where):
            named = with_user(batch, uncounted)
            if len(named.rows):
                yield self._with_place(named)

    def compare(self, tables: Iterable[pa.Table]) -> Superseded:
        """Return which of the rows that were read lost; all of a user lie in one table."""
        lost = np.zeros(self._num_places, np.bool_)
        for table in tables:
            lost[find_older(table)[_PLACE].to_numpy()] = True
        return Superseded(self._firsts, lost)

    def _with_place(self, batch: Batch) -> pa.RecordBatch:
        # Files come one after another, so whatever is numbered next lies behind all of this one.
        first = self._firsts.setdefault(batch.file, self._num_places)
        places: NDArray[Any] = first + batch.numbers.to_numpy()
        self._num_places = int(places[-1]) + 1
        return batch.rows.append_column(_PLACE, pa.array(places))


def _taken(buckets: Buckets, num_buckets: int) -> Iterator[pa.Table]:
    """Yield what lies in each bucket, and empty it."""
    for bucket in range(num_buckets):
        rows = buckets.read(bucket)
        buckets.replace(bucket, rows.slice(0, 0))
        yield rows
