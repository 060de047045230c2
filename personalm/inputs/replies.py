"""Requests that are derived from conversations: a reply to the last message that wants one.

A thread gives one request at most, by its own messages alone. Threads lie on disk by the hash of
their ids while they are gathered, so that memory is bounded however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalm.hashing import user_digest
from personalm.inputs.buckets import Buckets, targets_of
from personalm.inputs.columns import Batch
from personalm.inputs.contract import INTERACTIONS, REQUESTS
from personalm.inputs.ids import canonical_id
from personalm.inputs.report import Effect
from personalm.inputs.threads import read_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from personalm.inputs.report import Tally
    from personalm.inputs.threads import Message
    from personalm.settings import Replies

_SOURCE = "inputs.replies"
_NO_VOICE = "threads left out: nobody has answered in them, and inputs.replies names no voice_id"
_NO_MESSAGE = "threads left out: all of their messages are answers"
_ANSWERED = "threads left out: their last message is an answer"


class Conversations:
    """Interactions laid out by thread below a folder of its own, and the replies they want."""

    def __init__(self, folder: Path, *, num_buckets: int) -> None:
        self._buckets = Buckets(folder, INTERACTIONS.schema, num_buckets=num_buckets)
        self._num_buckets = num_buckets
        self._buckets.create()

    def add(self, rows: pa.RecordBatch) -> None:
        """Lay out the rows that are turns of a thread, in the order of the files."""
        turns = rows.filter(_is_turn(rows))
        self._buckets.add(turns, targets_of(turns.column("thread_id"), self._num_buckets))

    def derive(self, replies: Replies, tally: Tally) -> Iterator[Batch]:
        """Yield the requests of all threads; what was laid out is gone afterwards."""
        self._buckets.flush()
        for bucket in range(self._num_buckets):
            turns = self._buckets.read(bucket)
            self._buckets.replace(bucket, turns.slice(0, 0))
            yield derive_replies(turns, replies, tally)


def derive_replies(interactions: pa.Table, replies: Replies, tally: Tally) -> Batch:
    """Return the requests of whole threads, from their rows in the order of the files.

    They are in the order of the digests of their threads' ids.
    """
    threads = read_threads(interactions.filter(_is_turn(interactions)))
    if replies.voice_id is not None:
        replies = replies.model_copy(update={"voice_id": canonical_id(replies.voice_id)})
    wanted = (
        (thread_id, *found)
        # The order of digests is that of buckets, so that it is the same for one user and for all.
        for thread_id, messages in sorted(threads.items(), key=lambda pair: user_digest(pair[0]))
        if (found := _find_message(messages, replies, tally)) is not None
    )
    return _as_batch(wanted, replies, tally)


def _is_turn(rows: pa.RecordBatch | pa.Table) -> pa.Array[Any]:
    return pc.and_(pc.is_valid(rows.column("thread_id")), pc.is_valid(rows.column("text")))


def _find_message(
    messages: Sequence[Message], replies: Replies, tally: Tally
) -> tuple[Message, str] | None:
    """Return the message of a thread that is to be answered, and whose voice answers it."""

    def is_answer(message: Message) -> bool:
        return message.author == replies.voice_id or message.kind in replies.voice_kinds

    asking = [message for message in messages if not is_answer(message)]
    answers = [message for message in messages if is_answer(message)]
    voice_id = replies.voice_id or (answers[-1].author if answers else None)
    if not asking:
        _leave_out(_NO_MESSAGE, tally)
    elif messages[-1] is not asking[-1] and not replies.answered:
        _leave_out(_ANSWERED, tally)
    elif voice_id is None:
        _leave_out(_NO_VOICE, tally, remedy="Name one, if one voice answers for all.")
    else:
        return asking[-1], voice_id
    return None


def _leave_out(what: str, tally: Tally, *, remedy: str | None = None) -> None:
    tally.add(Effect.DROPPED, what, 1, column="thread_id", remedy=remedy)


def _as_batch(wanted: Iterable[tuple[str, Message, str]], replies: Replies, tally: Tally) -> Batch:
    rows = [
        {
            "user_id": message.author,
            "kind": replies.kind,
            "subject_id": thread_id,
            "subject": message.text,
            "instructions": replies.instructions,
            "thread_id": thread_id,
            "voice_id": voice_id,
        }
        for thread_id, message, voice_id in wanted
    ]
    tally.num_rows += len(rows)
    return Batch(
        file=_SOURCE,
        rows=pa.RecordBatch.from_pylist(rows, schema=REQUESTS.schema),
        numbers=pa.array(np.arange(len(rows), dtype=np.int64)),
        sources={name: name for name in REQUESTS.columns},
    )
