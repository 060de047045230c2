"""Laws of discretion: what a record holds of a person does not come out with its `repr`."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import personalm
from personalm.discreet import Discreet
from personalm.records import (
    Candidate,
    Draw,
    Fact,
    Interaction,
    Item,
    Key,
    Outcome,
    Profile,
    Prompt,
    Reason,
    Rejection,
    Request,
    Sample,
    Sampling,
    Stage,
    Task,
    Turn,
    Unit,
    UserInputs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "kestrel-8812"

OPEN = {
    # Settings, templates, models and files: nothing of them is a user's.
    *("Sampling", "Counts", "ModelCard", "Kind", "Problem", "LoadedModel", "_Failure", "Voice"),
    *("BundledModel", "ModelStatus", "Layout", "DataFile", "Snapshot", "StyleReference"),
    # Names of columns and files, and counts.
    *("Finding", "InputReport", "Place", "Conversion", "SourceFile", "Match", "FileReader"),
    *("Contract", "Spill", "BucketReport", "Summary", "RawReader", "NestedReader"),
    *("LiveRow", "Intake", "Forecast", "Erasure", "Removal", "Census"),
    # What training publishes: counts, measures, made-up secrets.
    *("Adapter", "Trainee", "Trained", "CardFacts", "Canary", "_Sums"),
    # What is made of all users together, as hashes and numbers; counts; the operator's own words.
    *("Artefact", "Pool", "Leaks", "Drops", "Phrase"),
    # A bar of a chart: its label, and figures over many users.
    "Bar",
    # What a person in a notebook asked for, to be looked at there.
    *("Generation", "Generations"),
}


def dataclasses_of_the_package() -> Iterator[type[Any]]:
    """Yield every dataclass that a module of the package defines."""
    for info in pkgutil.walk_packages(personalm.__path__, "personalm."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, type) and is_dataclass(value) and value.__module__ == info.name:
                yield value


def holds_text(cls: type[Any]) -> bool:
    """Say whether a field of a class can hold text or rows; records in fields tell their own."""
    annotations = " ".join(str(field.type) for field in fields(cls))
    return re.search(r"\b(str|Any|object|Fact|Table|RecordBatch|Array)\b", annotations) is not None


def is_discreet(cls: type[Any]) -> bool:
    """Say whether a class has the discreet `repr` and no other."""
    return vars(cls).get("__repr__") is None and issubclass(cls, Discreet)


def test_a_record_is_discreet_or_known_to_hold_nothing_personal() -> None:
    """Whoever adds a dataclass decides what its `repr` may show."""
    found = {cls.__name__: cls for cls in dataclasses_of_the_package()}

    talkative = {n for n, cls in found.items() if holds_text(cls) and not is_discreet(cls)}

    assert {"Key", "Profile", "UserRows"} <= {n for n, cls in found.items() if holds_text(cls)}
    assert talkative <= OPEN


KEY = Key(user_id=CANARY, kind="post", subject_id=CANARY)
FACTS: dict[str, Fact] = {
    CANARY: CANARY,
    "born": datetime(1987, 6, 5, tzinfo=UTC),
    "tags": (CANARY,),
}
PROFILE = Profile(
    user_id=CANARY,
    name=CANARY,
    traits=(CANARY,),
    facts=FACTS,
    interactions=(Interaction(text=CANARY, item_id=CANARY, thread_id=CANARY),),
)
REQUEST = Request(
    user_id=CANARY,
    kind="post",
    subject_id=CANARY,
    subject=CANARY,
    item=Item(item_id=CANARY, title=CANARY, facts=FACTS),
    facts=FACTS,
)
TASK = Task(
    request=REQUEST,
    profile=PROFILE,
    voice=PROFILE,
    thread=(Turn(text=CANARY, own=True),),
    tier="1-4",
    language="en",
    fingerprint="f",
)
PROMPT = Prompt(
    key=KEY,
    text=CANARY,
    token_ids=(1, 2),
    sampling=Sampling(max_new_tokens=4),
    num_candidates=2,
    seed=7,
    shown=(CANARY,),
)
SAMPLE = Sample(text=CANARY, num_tokens=2, finish="end")
REJECTION = Rejection(
    key=KEY,
    request_id=CANARY,
    stage=Stage.SELECTION,
    reason=Reason.ALL_CANDIDATES_DROPPED,
    message="",
    fingerprint="f",
)


@pytest.mark.parametrize(
    "record",
    [
        *(KEY, PROFILE, REQUEST, TASK, PROMPT, SAMPLE, REJECTION),
        Unit(unit_id="0000-f", bucket=0, tasks=(TASK,)),
        Draw(prompt=PROMPT, samples=(SAMPLE,)),
        Outcome(rejection=REJECTION),
        Candidate(number=0, text=CANARY, num_tokens=2, finish="end"),
        UserInputs(profile=PROFILE, requests=(REQUEST,), voices={CANARY: PROFILE}),
    ],
    ids=lambda record: type(record).__name__,
)
def test_no_text_and_no_id_comes_out_with_a_repr(record: Discreet) -> None:
    """Neither at the surface nor from the depth, as text or as time."""
    for told in (repr(record), f"{record}", repr([record]), repr({"a": (record,)})):
        assert type(record).__name__ in told
        assert CANARY not in told
        assert "1987" not in told


def test_a_repr_tells_numbers_and_sizes() -> None:
    """Enough to find a fault by: how long, how many, which reason."""
    assert repr(KEY) == "Key(user_id=<12 letters>, kind=<4 letters>, subject_id=<12 letters>)"
    assert "num_tokens=2" in repr(SAMPLE)
    assert "reason=ALL_CANDIDATES_DROPPED" in repr(REJECTION)
    assert "interactions=<1>" in repr(PROFILE)
    assert repr(object.__new__(Key)) == "Key()"
