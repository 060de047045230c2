"""From settled rows to one user's records: profile, requests, voices and threads.

The rows are those of one bucket, or those found for one user; it makes no difference here.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from personalm.discreet import Discreet
from personalm.hashing import user_digest
from personalm.inputs.contract import FACTS
from personalm.inputs.facts import decode_facts, to_times
from personalm.inputs.threads import Threads
from personalm.records import Interaction, Profile, Request, UserInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    Record: TypeAlias = Profile | Interaction | Request
    Group: TypeAlias = tuple[str, str, Sequence[Record]]

_WINDOW = 8_192


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UserRows(Discreet):
    """Rows of some users, and what their requests name of others.

    All are settled but `turns`, which are interactions in the order of the files.
    """

    profiles: pa.Table
    interactions: pa.Table
    requests: pa.Table
    voice_profiles: pa.Table
    voice_interactions: pa.Table
    turns: pa.Table

    def users(self) -> Iterator[UserInputs]:
        """Yield each user once, in the order of the users' digests."""
        voices = dict(_merge_profiles(self.voice_profiles, self.voice_interactions))
        threads = Threads(self.turns)
        groups = (
            _group(self.profiles, _make_profiles),
            _group(self.interactions, _make_interactions),
            _group(self.requests, _make_requests),
        )
        for user_id, records in _merge(*groups):
            requests = tuple(record for record in records if isinstance(record, Request))
            named = {r.voice_id: voices.get(r.voice_id or "") for r in requests}
            yield UserInputs(
                profile=_join(user_id, records),
                requests=requests,
                voices={name: v for name, v in named.items() if name and v and name != user_id},
                threads=threads.of(user_id, {r.thread_id for r in requests if r.thread_id}),
            )


def _merge_profiles(profiles: pa.Table, interactions: pa.Table) -> Iterator[tuple[str, Profile]]:
    groups = _group(profiles, _make_profiles), _group(interactions, _make_interactions)
    for user_id, records in _merge(*groups):
        yield user_id, _join(user_id, records)


def _join(user_id: str, records: Sequence[Record]) -> Profile:
    """Return a user's profile with the interactions; a user without a row has the least one."""
    profile = next((r for r in records if isinstance(r, Profile)), Profile(user_id=user_id))
    interactions = tuple(r for r in records if isinstance(r, Interaction))
    return replace(profile, interactions=interactions)


def _merge(*groups: Iterator[Group]) -> Iterator[tuple[str, list[Record]]]:
    """Bring together what several tables hold of each user."""
    merged = heapq.merge(*groups, key=itemgetter(0))
    for _, parts in groupby(merged, key=itemgetter(0)):
        user_id = ""
        records: list[Record] = []
        for _, user_id, part in parts:  # noqa: B007 - the same in all parts
            records.extend(part)
        yield user_id, records


def _group(table: pa.Table, make: Callable[[pa.Table], Sequence[Record]]) -> Iterator[Group]:
    """Yield the records of each user; rows are converted a window of whole users at a time."""
    if not len(table):
        return
    coded = table["user_id"].combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    starts: list[int] = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    stops = [*starts[1:], len(codes)]
    ids = coded.dictionary.to_pylist()
    first = 0
    while first < len(ids):
        last = first
        while last + 1 < len(ids) and stops[last + 1] - starts[first] <= _WINDOW:
            last += 1
        records = make(table.slice(starts[first], stops[last] - starts[first]))
        for user in range(first, last + 1):
            part = records[starts[user] - starts[first] : stops[user] - starts[first]]
            yield user_digest(ids[user]), ids[user], part
        first = last + 1


def _make_profiles(rows: pa.Table) -> list[Record]:
    fields = ("user_id", "name", "language", "traits", "opt_out")
    columns = (*(rows[f].to_pylist() for f in fields), to_times(rows["updated_at"]))
    return [
        Profile(
            user_id=user_id,
            name=name,
            language=language,
            traits=tuple(traits or ()),
            opt_out=bool(opt_out),
            updated_at=updated_at,
            facts=decode_facts(facts),
        )
        for user_id, name, language, traits, opt_out, updated_at, facts in zip(
            *columns, rows[FACTS].to_pylist(), strict=True
        )
    ]


def _make_interactions(rows: pa.Table) -> list[Record]:
    fields = ("text", "kind", "item_id", "rating", "text_id", "thread_id")
    columns = (rows[f].to_pylist() for f in fields)
    return [
        Interaction(
            text=text or "",
            kind=kind,
            item_id=item_id,
            rating=rating,
            created_at=created_at,
            text_id=text_id,
            thread_id=thread_id,
        )
        for created_at, text, kind, item_id, rating, text_id, thread_id in zip(
            to_times(rows["created_at"]), *columns, strict=True
        )
    ]


def _make_requests(rows: pa.Table) -> list[Record]:
    fields = (
        "user_id",
        "kind",
        "subject_id",
        "subject",
        "instructions",
        "thread_id",
        "voice_id",
        "request_id",
    )
    columns = [rows[f].to_pylist() for f in fields]
    facts = rows[FACTS].to_pylist()
    return [
        Request(**dict(zip(fields, values, strict=True)), facts=decode_facts(each))
        for *values, each in zip(*columns, facts, strict=True)
    ]
