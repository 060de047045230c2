"""Laws of replies that are derived from conversations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from personalm.inputs.lookup import find_user
from personalm.inputs.spill import spill
from personalm.settings import Inputs, Replies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from personalm.records import UserInputs

    Write = Callable[..., str]
    SpillAll = Callable[[Inputs], dict[str, UserInputs]]

_REPLIES = Replies(voice_kinds=("answer",), instructions="Be kind.", answered=True)

# thread, author, kind, text, minute
_ROWS: tuple[tuple[str | None, str, str | None, str, int | None], ...] = (
    ("late", "brand", "answer", "an answer that lies first", None),
    ("t", "a", "ask", "first", 1),
    ("u", "b", "ask", "nobody answers", 1),
    ("t", "brand", "answer", "so?", 2),
    ("v", "a", "ask", "answered", 1),
    ("t", "a", "ask", "last", 4),
    ("t", "c", None, "between", 3),
    ("v", "brand2", "answer", "done", 2),
    ("late", "b", "ask", "later", 2),
    (None, "a", "ask", "in no thread", 9),
    ("w", "brand", "answer", "an announcement", 1),
    ("t", "a", "ask", " ", 8),
)


@pytest.fixture
def interactions(write: Write) -> str:
    """Return a table of five conversations, their rows mixed."""
    threads, users, kinds, texts, minutes = zip(*_ROWS, strict=True)
    times = [m and datetime(2026, 1, 1, 0, m, tzinfo=UTC) for m in minutes]
    columns: dict[str, Any] = {
        "thread_id": threads,
        "user_id": users,
        "kind": kinds,
        "text": texts,
        "created_at": times,
    }
    return write("i.parquet", columns, row_group_size=3)


def _derive(interactions: str, spill_all: SpillAll, **changes: Any) -> dict[str, Any]:
    replies = _REPLIES.model_copy(update=changes)
    users = spill_all(Inputs(interactions=(interactions,), replies=replies))
    requests = [request for user in users.values() for request in user.requests]
    assert all(r.kind == "reply" and r.subject_id == r.thread_id for r in requests)
    assert all(r.instructions == "Be kind." for r in requests)
    return {str(r.thread_id): (r.user_id, r.subject, r.voice_id) for r in requests}


def test_the_last_message_that_is_no_answer_gets_a_reply(
    interactions: str, spill_all: SpillAll
) -> None:
    """In the voice of who answers in that thread; order is that of time, not of the files."""
    assert _derive(interactions, spill_all) == {
        "t": ("a", "last", "brand"),
        "v": ("a", "answered", "brand2"),
        "late": ("b", "later", "brand"),
    }


def test_what_has_an_answer_gets_none_unless_it_is_wanted(
    interactions: str, spill_all: SpillAll
) -> None:
    """A nightly run replies to what came in since."""
    assert set(_derive(interactions, spill_all, answered=False)) == {"t", "late"}


def test_one_voice_can_be_named_for_all(interactions: str, spill_all: SpillAll) -> None:
    """Then a thread that nobody has answered is served as well."""
    found = _derive(interactions, spill_all, voice_id="brand")

    assert found["u"] == ("b", "nobody answers", "brand")
    assert {voice for _, _, voice in found.values()} == {"brand"}


def test_a_voice_alone_tells_the_sides(interactions: str, spill_all: SpillAll) -> None:
    """Interactions without kinds are enough where one id answers them all."""
    found = _derive(interactions, spill_all, voice_id="brand", voice_kinds=())

    assert found["v"] == ("brand2", "done", "brand")
    assert "w" not in found


def test_a_voice_is_named_as_an_id_is_written_anywhere(write: Write, spill_all: SpillAll) -> None:
    """A UUID in large letters is the same brand: its answer is no message to answer."""
    brand = "A8098C1A-F86E-11DA-BD1A-00112444BE1E"
    rows = {"thread_id": ["t", "t"], "user_id": ["a", brand], "text": ["my tap leaks", "we come"]}
    path = write("uuid.parquet", rows)

    assert _derive(path, spill_all, voice_id=brand, voice_kinds=(), answered=False) == {}
    found = _derive(path, spill_all, voice_id=brand, voice_kinds=(), answered=True)
    assert found == {"t": ("a", "my tap leaks", brand.lower())}


def test_threads_left_out_are_counted_with_the_reason(interactions: str, tmp_path: Path) -> None:
    """Threads in = requests + threads left out."""
    inputs = Inputs(interactions=(interactions,), replies=_REPLIES)
    with spill(inputs, tmp_path / "s", num_buckets=2) as spilled:
        assert spilled.has_requests
        assert sum(spilled.num_requests(bucket) for bucket in range(2)) == 3
        report = spilled.report
    assert dict(report.num_rows) == {"interactions": len(_ROWS), "requests": 3}
    left_out = {f.what.split(": ")[1]: f.count for f in report.findings if f.table == "requests"}
    assert left_out == {
        "all of their messages are answers": 1,
        "nobody has answered in them, and inputs.replies names no voice_id": 1,
    }


@pytest.mark.parametrize("answered", [True, False])
def test_a_user_who_is_looked_up_has_the_same_requests(
    interactions: str, spill_all: SpillAll, *, answered: bool
) -> None:
    """A notebook writes the reply that a run would write."""
    replies = _REPLIES.model_copy(update={"answered": answered})
    inputs = Inputs(interactions=(interactions,), replies=replies)
    users = spill_all(inputs)

    assert any(user.requests for user in users.values())
    assert {user_id: find_user(inputs, user_id) for user_id in users} == users


def test_a_thread_is_answered_by_its_own_messages_alone(write: Write, spill_all: SpillAll) -> None:
    """No other thread changes a request, whatever its id and whoever writes in it."""
    row = {"user_id": ["a", "brand"], "text": ["help", "hm"], "kind": ["ask", "answer"]}
    alone = write("one.parquet", {**row, "thread_id": ["t", "t"]})
    beside = write("two.parquet", {**row, "thread_id": ["t2", "t2"], "text": ["other", "hm"]})

    def requests(*paths: str) -> Any:
        user = spill_all(Inputs(interactions=paths, replies=_REPLIES))["a"]
        (request,) = (r for r in user.requests if r.thread_id == "t")
        return request, user.threads["t"]

    assert requests(alone) == requests(alone, beside) == requests(beside, alone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replies": {}}, "whose messages are the answers"),
        ({"requests": ("r",)}, "without a requests table"),
        ({"interactions": ()}, "derived from interactions"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any], message: str) -> None:
    """Replies need conversations, two sides, and no other word on what is wanted."""
    given = {"interactions": ("i",), "replies": _REPLIES, **changes}
    with pytest.raises(ValidationError, match=message):
        Inputs(**given)
