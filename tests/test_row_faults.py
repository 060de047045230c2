"""Laws of faults: one bad row costs one row; a fault of the program costs the run, and no table."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from personalm import pipeline
from personalm.assembly import Assembly
from personalm.breaker import MAX_IN_A_ROW, Breaker
from personalm.errors import (
    EngineError,
    InputError,
    ProgramError,
    TemplateError,
    fault_of,
    faults_in_words,
    is_of_a_row,
)
from personalm.generation.scripted import ScriptedEngine
from personalm.planning.subjects import find_subject
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import Draw
from personalm.selection import selector as selecting
from personalm.selection.embedder import ScriptedEmbedder
from personalm.store.reading import status
from tests.population import Person, make_settings, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from personalm.records import Prompt

POISON = "kestrel-8812"
PEOPLE = [Person(user_id=f"u{n}") for n in range(12)]
BAD = Person(user_id="bad", texts=(f"my {POISON} garden", f"a {POISON} garden", "the garden"))


def poisoned(value: object) -> bool:
    """Say whether a value has to do with the bad user."""
    if isinstance(value, str):
        return POISON in value
    return isinstance(value, (list, tuple)) and any(map(poisoned, value))


def break_language(patch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the language detector fail on the bad user."""

    def detect(texts: Any, *, default: str) -> str:
        if poisoned(texts):
            raise error
        return default

    patch.setattr("personalm.assembly.detect_language", detect)


def break_topic(patch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the choice of a topic fail."""
    whole = find_subject

    def find(request: Any, kind: Any, profile: Any, catalogue: Any) -> Any:
        if poisoned(profile.texts):
            raise error
        return whole(request, kind, profile, catalogue)

    patch.setattr("personalm.planning.planner.find_subject", find)


def break_tokenizer(patch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the tokenizer fail."""
    whole = ByteTokenizer.encode

    def encode(self: ByteTokenizer, text: str) -> list[int]:
        if poisoned(text):
            raise error
        return whole(self, text)

    patch.setattr(ByteTokenizer, "encode", encode)


def break_gate(patch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the gates fail."""
    whole = selecting._case

    def case(task: Any, *arguments: Any) -> Any:
        if poisoned(task.profile.texts):
            raise error
        return whole(task, *arguments)

    patch.setattr(selecting, "_case", case)


def break_embedder(patch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the embedder fail; it costs a score, and no text."""
    whole = ScriptedEmbedder.encode

    def encode(self: ScriptedEmbedder, texts: Any) -> Any:
        if poisoned(list(texts)):
            raise error
        return whole(self, texts)

    patch.setattr(ScriptedEmbedder, "encode", encode)


BREAKS = {
    "planning_failed": break_topic,
    "planning_failed by language": break_language,
    "prompting_failed": break_tokenizer,
    "scoring_failed": break_gate,
    "no score": break_embedder,
}
OF_A_ROW = [
    ValueError(POISON),
    KeyError(POISON),
    RecursionError(POISON),
]
OF_THE_PROGRAM = [
    NameError(POISON),
    TypeError(POISON),
    AttributeError(POISON),
]


@pytest.mark.parametrize("error", OF_A_ROW, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", BREAKS)
def test_an_error_of_one_users_values_costs_that_user_alone(
    place: str, error: Exception, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rejection says where and of which class; all other rows are as without such a user."""
    settings = make_settings(memory_path, PEOPLE)
    pipeline.run(settings)
    expected = rows_of(settings.output)
    BREAKS[place](monkeypatch, error)
    both = make_settings(memory_path / "both", [*PEOPLE, BAD])

    counts = pipeline.run(both).counts

    assert rows_of(both.output, without=BAD.user_id) == expected
    assert counts.is_balanced
    rows = rows_of(both.output)
    if place == "no score":
        assert counts.rejections == 0
        return
    (rejection,) = rows["rejections"]
    assert rejection["user_id"] == BAD.user_id
    assert rejection["reason"] == place.split(maxsplit=1)[0]
    assert type(error).__name__ in rejection["message"]
    assert POISON not in rejection["message"]


@pytest.fixture
def as_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the functions of this file, where the errors are raised, for the package's."""
    monkeypatch.setattr("personalm.errors._is_raised_here", lambda _: True)


@pytest.mark.usefixtures("as_our_own")
@pytest.mark.parametrize("error", OF_THE_PROGRAM, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", BREAKS)
def test_a_fault_of_the_program_ends_the_run_and_publishes_nothing(
    place: str, error: Exception, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is rejected for it; the message names places in the code and no value."""
    settings = make_settings(memory_path, PEOPLE)
    pipeline.run(settings)
    before = rows_of(settings.output)
    make_settings(memory_path, [*PEOPLE, BAD])
    with monkeypatch.context() as patch:
        BREAKS[place](patch, error)
        with pytest.raises(ProgramError) as raised:
            pipeline.run(settings)

    assert type(error).__name__ in str(raised.value)
    assert POISON not in str(raised.value)
    assert rows_of(settings.output) == before
    assert status(settings.output)["snapshot"]["number"] == 1
    assert pipeline.run(settings).counts.results == 1


@pytest.mark.parametrize("error", [OSError(28, "full"), MemoryError()], ids=["disk", "memory"])
def test_what_the_machine_refuses_is_no_rows_fault(
    error: Exception, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk met in the middle of a user's planning ends the run."""
    settings = make_settings(memory_path, [*PEOPLE, BAD])
    break_topic(monkeypatch, error)

    with pytest.raises((ProgramError, MemoryError)):
        pipeline.run(settings)

    assert status(settings.output)["snapshot"] is None


def test_a_wrong_type_is_a_rows_fault_only_where_another_library_met_it() -> None:
    """What this package handles has the type it asks for; what a template meets may have any."""

    def caught(function: Callable[[], object]) -> Exception:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - whatever it is
            return error
        raise AssertionError

    import json  # noqa: PLC0415 - stands for another library

    from personalm.hashing import subject_id_of  # noqa: PLC0415 - stands for this package

    assert is_of_a_row(caught(lambda: json.loads("{")))
    assert is_of_a_row(caught(lambda: json.dumps({1}.union)))
    assert not is_of_a_row(caught(lambda: subject_id_of(7, None)))  # type: ignore[arg-type]  # on purpose
    assert not is_of_a_row(InputError("a file"))
    assert is_of_a_row(TemplateError("a template"))


def test_a_template_that_fails_on_a_row_costs_that_row(memory_path: Path) -> None:
    """The real template, the real renderer: an age of nought cannot be divided by."""
    bad = Person(user_id="bad", age=0)
    settings = make_settings(memory_path, [*PEOPLE, bad])

    counts = pipeline.run(settings).counts

    assert (counts.results, counts.rejections) == (len(PEOPLE), 1)
    (rejection,) = rows_of(settings.output)["rejections"]
    assert rejection["reason"] == "render_failed"
    assert rejection["message"] == "the template post failed: ZeroDivisionError"


def test_a_broken_filter_of_ours_is_no_templates_fault(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for a fault of every row that the template shows."""
    settings = make_settings(memory_path, PEOPLE)
    Assembly(settings).writer  # noqa: B018 - the trial of the templates, before the filter breaks

    def broken(text: str) -> str:
        return text.no_such_method() if "kettle" in text else text  # type: ignore[attr-defined]  # on purpose

    monkeypatch.setattr("personalm.prompting.sandbox.fold_spaces", broken)
    monkeypatch.setattr("personalm.errors._is_raised_here", lambda _: True)

    with pytest.raises(ProgramError, match="AttributeError"):
        pipeline.run(settings)


def test_a_request_that_broke_the_planner_is_tried_in_every_run(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the fault is mended, nothing of the user need change."""
    settings = make_settings(memory_path, [*PEOPLE, BAD])
    with monkeypatch.context() as patch:
        break_topic(patch, ValueError())
        assert pipeline.run(settings).counts.rejections == 1
        assert pipeline.run(settings).counts.rejections == 1

    counts = pipeline.run(settings).counts

    assert (counts.results, counts.withdrawn) == (1, 1)
    assert rows_of(settings.output)["rejections"] == []


@pytest.mark.parametrize("place", ["planning", "engine"])
def test_users_who_fail_one_after_the_other_are_no_accident(
    place: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that is broken fails for everybody: what is published stays as it is."""
    people = [Person(user_id=f"u{n}") for n in range(MAX_IN_A_ROW + 2)]
    settings = make_settings(memory_path, people)
    pipeline.run(settings)
    before = rows_of(settings.output)
    changed = [Person(user_id=p.user_id, texts=BAD.texts) for p in people]
    make_settings(memory_path, changed)
    if place == "planning":
        break_topic(monkeypatch, ValueError())
    else:

        def draw(_: ScriptedEngine, prompt: Prompt) -> Draw:
            return Draw(prompt=prompt, samples=(), error="the model failed")

        monkeypatch.setattr(ScriptedEngine, "_draw", draw)

    with pytest.raises(EngineError, match="21 users failed in a row"):
        pipeline.run(settings)

    assert rows_of(settings.output) == before


def test_a_breaker_counts_users_in_a_row() -> None:
    """One user may fail as often as it likes, and one who is served starts the count anew."""
    breaker = Breaker(limit=3)
    for _ in range(10):
        breaker.fail("a", "of a reason")
    breaker.fail("b", "of a reason")
    breaker.fail("c", "of a reason")
    breaker.succeed()
    for user in "def":
        breaker.fail(user, "of a reason")
    with pytest.raises(EngineError, match="4 users failed in a row, the last one because of a"):
        breaker.fail("g", "of a reason")


def test_a_fault_is_told_by_places_in_the_code() -> None:
    """Whatever the error itself says stays out of the message, its notes and its pickle."""
    settings_file = "personalm/hashing.py"
    from personalm.hashing import digest  # noqa: PLC0415 - the place of the fault

    with pytest.raises(ProgramError) as raised, faults_in_words():
        digest({POISON: object()})

    assert settings_file in str(raised.value)
    assert "TypeError" in str(raised.value)
    assert POISON not in str(raised.value)
    assert raised.value.__suppress_context__
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # noqa: S301 - ours
    assert POISON not in str(fault_of(OSError(28, "No space left on device", POISON)))
