"""Looking one user up: the same records as a spill gives, without reading all of the inputs.

Row groups that cannot hold the user are left alone, by the statistics of the files' footers; of
the others the ids are read first, and the rest only where the user is in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from personalm.inputs.columns import Where
from personalm.inputs.contract import INTERACTIONS, PROFILES, REQUESTS, Contract
from personalm.inputs.ids import canonical_id
from personalm.inputs.replies import derive_replies
from personalm.inputs.report import Tally
from personalm.inputs.requests import SCHEMA as REQUEST_ROWS
from personalm.inputs.requests import RequestRows
from personalm.inputs.settling import (
    newest_interactions,
    settle_interactions,
    settle_profiles,
    settle_requests,
    with_user,
)
from personalm.inputs.superseded import superseded_among
from personalm.inputs.tables import InputTable
from personalm.inputs.users import UserRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.inputs.columns import Batch
    from personalm.records import UserInputs
    from personalm.settings import Inputs


def find_user(inputs: Inputs, user_id: object) -> UserInputs | None:
    """Return what the tables hold of a user, None where no table does.

    `user_id` is text, a whole number or a UUID. Raises InputError for an id of another type, and
    for inputs that do not follow the data contract.
    """
    wanted = canonical_id(user_id)
    requests = _find_requests(inputs, wanted)
    voices = _named(requests, "voice_id") - {wanted}
    threads = _named(requests, "thread_id")
    people = voices | {wanted}
    profiles = _find(inputs, PROFILES, {"user_id": people})
    interactions = _find(inputs, INTERACTIONS, {"user_id": people, "thread_id": threads})
    is_turn = pc.and_(_is_in(interactions, "thread_id", threads), pc.is_valid(interactions["text"]))
    rows = UserRows(
        profiles=settle_profiles(_of(profiles, {wanted}))[0],
        interactions=_newest(_of(interactions, {wanted}), inputs),
        requests=requests,
        voice_profiles=settle_profiles(_of(profiles, voices))[0],
        voice_interactions=_newest(_of(interactions, voices), inputs),
        turns=interactions.filter(is_turn),
    )
    return next(rows.users(), None)


def _newest(interactions: pa.Table, inputs: Inputs) -> pa.Table:
    settled = settle_interactions(interactions)[0]
    return newest_interactions(settled, inputs.max_user_interactions)[0]


def _find_requests(inputs: Inputs, user_id: str) -> pa.Table:
    rows = RequestRows()
    found = [rows.complete(batch) for batch in _wanted(inputs, user_id)]
    requests = settle_requests(pa.Table.from_batches(found, schema=REQUEST_ROWS))
    rows.refuse_twice(requests)
    return requests


def _wanted(inputs: Inputs, user_id: str) -> Iterator[Batch]:
    """Yield the user's requests, of their table or derived from the user's threads."""
    tally = Tally(REQUESTS.table)
    table = InputTable.find(inputs, REQUESTS)
    if table is not None:
        yield from table.batches(tally, where=Where(ids={"user_id": frozenset({user_id})}))
    if inputs.replies is not None:
        threads = _named(_find(inputs, INTERACTIONS, {"user_id": {user_id}}), "thread_id")
        turns = _find(inputs, INTERACTIONS, {"thread_id": threads})
        batch = derive_replies(turns, inputs.replies, tally)
        yield batch.filter(pc.equal(batch.rows.column("user_id"), user_id))


def _find(inputs: Inputs, contract: Contract, ids: dict[str, set[str]]) -> pa.Table:
    table = InputTable.find(inputs, contract)
    if table is None:
        return contract.schema.empty_table()
    tally = Tally(contract.table)
    where = Where(ids={name: frozenset(values) for name, values in ids.items() if values})
    if not where.ids:
        return contract.schema.empty_table()
    batches = [with_user(batch, tally) for batch in table.batches(tally, where=where)]
    authors = {
        each for batch in batches if batch.is_nested for each in batch.rows["user_id"].to_pylist()
    }
    superseded = superseded_among(inputs, authors)
    found = [superseded.drop(batch, tally).rows for batch in batches]
    return pa.Table.from_batches(found, schema=contract.schema)


def _named(rows: pa.Table, column: str) -> set[str]:
    return {each for each in rows[column].to_pylist() if each is not None}


def _of(rows: pa.Table, users: set[str]) -> pa.Table:
    return rows.filter(_is_in(rows, "user_id", users))


def _is_in(rows: pa.Table, column: str, ids: set[str]) -> pa.ChunkedArray[pa.BooleanScalar]:
    return pc.is_in(rows[column], pa.array(sorted(ids), pa.string()))
