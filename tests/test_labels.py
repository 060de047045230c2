"""Laws of the names of requests: a row names the request that it answers now, not an older one."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from personalm import pipeline
from personalm.errors import EngineError
from personalm.generation.scripted import ScriptedEngine
from personalm.store.reading import read_table
from personalm.store.verify import verify
from tests.population import Person, make_settings, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from personalm.records import Draw, Prompt

ADA, BO = "ada", "bo"


def people(ada: str, bo: str, *, kind: str = "post") -> list[Person]:
    """Return two people who ask the same as ever, under such ids."""
    return [
        Person(user_id=user, asks=({"kind": kind, "subject": "trains", "request_id": name},))
        for user, name in ((ADA, ada), (BO, bo))
    ]


def named(output: Path) -> dict[str, str | None]:
    """Return the request that each user's row answers."""
    tables = (read_table(output, name).to_pylist() for name in ("results", "rejections"))
    return {row["user_id"]: row["request_id"] for rows in tables for row in rows}


def test_an_unchanged_text_answers_the_request_of_today(memory_path: Path) -> None:
    """Ids that are numbers of rows change hands from night to night; nothing is written for it."""
    settings = make_settings(memory_path, people("r-1", "r-2"), has_requests=True)
    pipeline.run(settings)
    before = rows_of(settings.output)
    make_settings(memory_path, people("r-2", "r-1"), has_requests=True)

    summary = pipeline.run(settings)
    again = pipeline.run(settings)

    assert named(settings.output) == {ADA: "r-2", BO: "r-1"}
    assert (summary.counts.unchanged, summary.counts.generated, summary.snapshot) == (2, 0, 2)
    assert (again.counts.unchanged, again.snapshot) == (2, None)
    assert verify(settings.output) == ()
    after = rows_of(settings.output)
    assert after["candidates"] == before["candidates"]
    for old, new in zip(before["results"], after["results"], strict=True):
        assert {**old, "request_id": None} == {**new, "request_id": None}


def test_an_unchanged_rejection_answers_the_request_of_today(memory_path: Path) -> None:
    """As a result does."""
    settings = make_settings(memory_path, people("r-1", "r-2", kind="none"), has_requests=True)
    assert pipeline.run(settings).counts.rejections == 2
    make_settings(memory_path, people("r-2", "r-3", kind="none"), has_requests=True)

    assert pipeline.run(settings).counts.unchanged == 2
    assert named(settings.output) == {ADA: "r-2", BO: "r-3"}


def test_a_row_that_was_asked_for_and_is_derived_now_goes_with_the_derived_ones(
    memory_path: Path,
) -> None:
    """Otherwise a user would have two texts of a kind of which there is one."""
    derived = make_settings(memory_path, [Person(user_id=ADA)])
    pipeline.run(derived)
    (row,) = rows_of(derived.output)["results"]
    asked = [Person(user_id=ADA, asks=({"kind": "post", "subject": "kettle"},))]
    asking = make_settings(memory_path / "b", asked, has_requests=True, output=derived.output)

    def rows() -> list[tuple[str, bool]]:
        return [(r["subject_id"], r["is_derived"]) for r in rows_of(derived.output)["results"]]

    assert pipeline.run(asking).counts.unchanged == 1
    assert rows() == [(row["subject_id"], False)]
    assert pipeline.run(derived).counts.unchanged == 1
    assert rows() == [(row["subject_id"], True)]
    garden = ("my garden is wet", "a new garden", "the garden grows")
    make_settings(memory_path, [Person(user_id=ADA, texts=garden)])
    assert pipeline.run(derived).counts.withdrawn == 1
    assert len(rows()) == 1


def test_a_resumed_text_answers_the_request_of_today(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was broken off last night, and its finished texts are taken over this night."""
    one = {"generation.unit_tokens": 1, "store.buckets": 1}
    settings = make_settings(memory_path, people("r-1", "r-2"), has_requests=True, **one)
    generate, calls = ScriptedEngine.generate, count()

    def fail(self: ScriptedEngine, prompts: Any) -> Iterator[Draw]:
        def counted() -> Iterator[Prompt]:
            for prompt in prompts:
                if next(calls) == 1:
                    raise EngineError("gone")
                yield prompt

        return generate(self, counted())

    monkeypatch.setattr(ScriptedEngine, "generate", fail)
    with pytest.raises(EngineError):
        pipeline.run(settings)
    make_settings(memory_path, people("r-3", "r-4"), has_requests=True, **one)

    counts = pipeline.run(settings).counts

    assert (counts.resumed, counts.generated) == (1, 1)
    assert named(settings.output) == {ADA: "r-3", BO: "r-4"}
