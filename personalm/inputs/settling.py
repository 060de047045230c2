"""Rows of a bucket, settled: sorted in the order users are served, with one row for each thing.

These rules decide what a user's records are, for a batch and for the look-up of one user alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalm.hashing import user_digest
from personalm.inputs.report import Effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from personalm.inputs.columns import Batch
    from personalm.inputs.report import Tally

    Flags: TypeAlias = NDArray[np.bool_]

_MAX_SHORT_BYTES = 1 << 30
_ORDER_OF_INTERACTIONS = (
    "created_at",
    "text_id",
    "text",
    # What follows only makes the order one and the same however the files lie.
    "kind",
    "item_id",
    "rating",
    "thread_id",
)


def with_user(batch: Batch, tally: Tally) -> Batch:
    """Return the rows that name a user: those without one never meet."""
    is_nobody = pc.is_null(batch.rows.column("user_id"))
    what = "rows dropped: they name no user"
    remedy = "Fill the ids in, if these rows belong to somebody."
    num = tally.mark(batch.place("user_id"), is_nobody, Effect.DROPPED, what, remedy=remedy)
    return batch.filter(pc.invert(is_nobody)) if num else batch


def settle_profiles(profiles: pa.Table) -> tuple[pa.Table, int]:
    """Return one profile a user, and the number of rows left out.

    The newest `updated_at` wins, a missing one is oldest, and of equals the later row wins.
    """
    ordered, is_newest = _by_age(profiles)
    kept = ordered.filter(pa.array(is_newest))
    return kept, len(ordered) - len(kept)


def find_older(profiles: pa.Table) -> pa.Table:
    """Return the rows of profiles that `settle_profiles` leaves out."""
    ordered, is_newest = _by_age(profiles)
    return ordered.filter(pa.array(~is_newest))


def settle_interactions(interactions: pa.Table) -> tuple[pa.Table, int]:
    """Return interactions in the order of a profile, and the number of rows left out.

    Of rows with one `text_id` that are equal in everything, one is kept.
    """
    ordered = _sort(interactions, _ORDER_OF_INTERACTIONS)
    has_id = pc.is_valid(ordered["text_id"]).to_numpy()
    is_copy = _same_as_before(ordered, ordered.schema.names) & has_id
    kept = ordered.filter(pa.array(~is_copy))
    return kept, len(ordered) - len(kept)


def newest_interactions(interactions: pa.Table, max_rows: int) -> tuple[pa.Table, int]:
    """Return the last rows of each user of settled interactions, and the number left out."""
    starts = np.flatnonzero(~_same_as_before(interactions, ["user_id"]))
    ends = np.append(starts, len(interactions))[1:]
    num_after = np.repeat(ends, ends - starts) - np.arange(len(interactions))
    is_kept = num_after <= max_rows
    if is_kept.all():
        return interactions, 0
    kept = interactions.filter(pa.array(is_kept))
    return kept, len(interactions) - len(kept)


def settle_requests(requests: pa.Table) -> pa.Table:
    """Return the requests of each user together, in the order of the table."""
    return _sort(requests, [])


def find_twice(requests: pa.Table) -> tuple[int, int] | None:
    """Return the indices of two rows that ask for the same result, or None."""
    key = ["user_id", "kind", "subject_id"]
    order = pc.sort_indices(requests, sort_keys=[(name, "ascending") for name in key])
    same = np.flatnonzero(_same_as_before(requests.select(key).take(order), key))
    if not len(same):
        return None
    second = int(same[0])
    return order[second - 1].as_py(), order[second].as_py()


def _by_age(profiles: pa.Table) -> tuple[pa.Table, Flags]:
    """Return the rows of each user together, and which is the one that counts."""
    ordered = _sort(profiles, ["updated_at"])
    is_first = ~_same_as_before(ordered, ["user_id"])
    return ordered, np.append(is_first[1:], True)[: len(ordered)]


def _sort(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Sort by the users' digests, then by columns, missing values first; a stable sort."""
    coded = table["user_id"].combine_chunks().dictionary_encode()
    digests = np.array([user_digest(each) for each in coded.dictionary.to_pylist()], dtype="U64")
    ranks = np.empty(len(digests), np.int64)
    ranks[np.argsort(digests)] = np.arange(len(digests))
    keys = {"user": pa.array(ranks[coded.indices.to_numpy()])}
    keys |= {name: _filled(table[name]) for name in columns}
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    return _take(table, order)


def _take(table: pa.Table, order: pa.Array[Any]) -> pa.Table:
    """Return rows in an order; strings count 2 GB at most, so a large table takes a detour."""
    if table.nbytes < _MAX_SHORT_BYTES:
        return table.take(order)
    wide = pa.schema(
        field.with_type(pa.large_string()) if pa.types.is_string(field.type) else field
        for field in table.schema
    )
    source = table.cast(wide)
    size = max(1, len(table) * (_MAX_SHORT_BYTES // 2) // table.nbytes)
    pieces = (source.take(order.slice(first, size)) for first in range(0, len(order), size))
    return pa.concat_tables(piece.cast(table.schema) for piece in pieces)


def _filled(values: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Return values with the missing ones below all others; blank texts are missing already."""
    if pa.types.is_timestamp(values.type):
        return pc.fill_null(values.cast(pa.int64()), np.iinfo(np.int64).min)
    return pc.fill_null(values, "" if pa.types.is_string(values.type) else float("-inf"))


def _same_as_before(table: pa.Table, columns: Sequence[str]) -> Flags:
    """Say for each row whether it equals the one before it in these columns."""
    same: Flags = np.ones(len(table), np.bool_)
    same[:1] = False
    for name in columns:
        values = table[name]
        same[1:] &= _equal(values.slice(0, max(0, len(values) - 1)), values.slice(1))
    return same


def _equal(left: pa.ChunkedArray[Any], right: pa.ChunkedArray[Any]) -> Flags:
    both_missing = pc.and_(pc.is_null(left), pc.is_null(right))
    equal: Flags = pc.coalesce(pc.equal(left, right), both_missing).to_numpy()
    return equal
