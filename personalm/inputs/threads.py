"""Threads: the turns of a conversation, oldest first, as one user sees them.

A turn without a time stands after the one before it in the files; turns of one time stand in the
order of the files. Of rows with one `text_id` that are equal in everything, one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personalm.inputs.facts import to_times
from personalm.records import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pyarrow as pa


class Threads:
    """The threads that the requests of some users name."""

    def __init__(self, turns: pa.Table) -> None:
        """Take interactions of threads, in the order of the files."""
        threads = _by_thread(turns)
        self._turns = {thread_id: _in_order(authored) for thread_id, authored in threads.items()}

    def of(self, user_id: str, thread_ids: Iterable[str]) -> dict[str, tuple[Turn, ...]]:
        """Return the threads that are there, with the user's own turns marked."""
        return {
            thread_id: tuple(
                Turn(text=turn.text, own=author == user_id, created_at=turn.created_at)
                for author, turn in self._turns[thread_id]
            )
            for thread_id in sorted(thread_ids)
            if thread_id in self._turns
        }


def _by_thread(rows: pa.Table) -> dict[str, list[tuple[str, Turn]]]:
    threads: dict[str, list[tuple[str, Turn]]] = {}
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
        turn = Turn(text=row["text"], own=False, created_at=row["created_at"])
        threads.setdefault(row["thread_id"], []).append((row["user_id"], turn))
    return threads


def _in_order(turns: list[tuple[str, Turn]]) -> list[tuple[str, Turn]]:
    times: list[datetime | None] = []
    for _, turn in turns:
        before = times[-1] if times else None
        times.append(turn.created_at or before)
    timeless = [each for each, time in zip(turns, times, strict=True) if time is None]
    timed = [(time, each) for each, time in zip(turns, times, strict=True) if time is not None]
    return timeless + [each for _, each in sorted(timed, key=lambda pair: pair[0])]
