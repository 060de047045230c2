"""Threads: the turns of a conversation, oldest first, as one user sees them.

A turn without a time stands after the one before it in the files; turns of one time stand in the
order of the files. Of rows with one `text_id` that are equal in everything, one counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personalm.discreet import Discreet
from personalm.inputs.facts import to_times
from personalm.records import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Message(Discreet):
    """A text of a conversation and who wrote it."""

    author: str
    text: str
    kind: str | None
    created_at: datetime | None


class Threads:
    """The threads that the requests of some users name."""

    def __init__(self, turns: pa.Table) -> None:
        """Take interactions of threads, in the order of the files."""
        self._messages = read_threads(turns)

    def of(self, user_id: str, thread_ids: Iterable[str]) -> dict[str, tuple[Turn, ...]]:
        """Return the threads that are there, with the turns of the user's side marked."""
        return {
            thread_id: _as_turns(self._messages[thread_id], user_id)
            for thread_id in sorted(thread_ids)
            if thread_id in self._messages
        }


def read_threads(rows: pa.Table) -> dict[str, list[Message]]:
    """Return the messages of each thread, oldest first, from rows in the order of the files."""
    threads: dict[str, list[Message]] = {}
    seen: set[tuple[Any, ...]] = set()
    names = [name for name in rows.schema.names if name != "created_at"]
    columns = {name: rows[name].to_pylist() for name in names}
    columns["created_at"] = to_times(rows["created_at"])
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        if row["text_id"] is not None:
            if values in seen:
                continue
            seen.add(values)
        message = Message(
            author=row["user_id"],
            text=row["text"],
            kind=row["kind"],
            created_at=row["created_at"],
        )
        threads.setdefault(row["thread_id"], []).append(message)
    return {thread_id: _in_order(messages) for thread_id, messages in threads.items()}


def _as_turns(messages: Sequence[Message], user_id: str) -> tuple[Turn, ...]:
    kinds = {m.kind for m in messages if m.author == user_id and m.kind is not None}
    # Where all write one kind, as in a chat, the kind says nothing about sides.
    has_sides = any(m.kind not in kinds for m in messages if m.author != user_id)
    return tuple(
        Turn(
            text=m.text,
            own=m.author == user_id or (has_sides and m.kind in kinds),
            created_at=m.created_at,
        )
        for m in messages
    )


def _in_order(messages: list[Message]) -> list[Message]:
    times: list[datetime | None] = []
    for message in messages:
        before = times[-1] if times else None
        times.append(message.created_at or before)
    timeless = [each for each, time in zip(messages, times, strict=True) if time is None]
    timed = [(time, each) for each, time in zip(messages, times, strict=True) if time is not None]
    return timeless + [each for _, each in sorted(timed, key=lambda pair: pair[0])]
