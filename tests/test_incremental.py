"""Laws of what a run writes again: what has changed, for whom it has changed, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.accounts import Change, Scope
from personalm.assembly import Assembly
from personalm.forecasting import forecast
from personalm.hashing import user_digest
from personalm.progress import SilentProgress
from personalm.settings import Settings
from personalm.store.reading import read_table
from personalm.store.schema import SCHEMA_VERSION
from personalm.store.verify import verify
from tests.generation.adapting import make_adapter, note_learned
from tests.population import POST, Person, make_settings, rows_of, write_templates

if TYPE_CHECKING:
    from pathlib import Path

ADA, BO, CY = "ada", "bo", "cy"
GARDEN = ("my garden is wet", "a new garden", "the garden grows")


def ask(*kinds: str, subject: str = "a long winter") -> tuple[dict[str, str], ...]:
    """Return requests, one a kind."""
    return tuple({"kind": kind, "subject": subject} for kind in kinds)


def people(**changed: Person) -> list[Person]:
    """Return three people, some of them changed."""
    plain = {name: Person(user_id=name, asks=ask("note", "post")) for name in (ADA, BO, CY)}
    return list({**plain, **changed}.values())


def of_kind(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the rows of a kind."""
    return [row for row in rows if row["kind"] == kind]


def subjects(output: Path, user_id: str) -> list[str]:
    """Return the subject ids of a user's live rows."""
    tables = (read_table(output, name).to_pylist() for name in ("results", "rejections"))
    return sorted(row["subject_id"] for t in tables for row in t if row["user_id"] == user_id)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file of a folder, with its time and bytes."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_changed_template_redoes_its_kind_alone(memory_path: Path) -> None:
    """And a forecast says so before the run."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)
    before = rows_of(settings.output)
    write_templates(memory_path / "templates", post=POST.replace("Post:", "A post:"))

    expected = forecast(settings)
    counts = pipeline.run(settings).counts

    assert expected.changes == {("post", Change.TEMPLATE): 3}
    assert (counts.generated, counts.unchanged) == (3, 3)
    after = rows_of(settings.output)
    notes = [[row for row in rows["results"] if row["kind"] == "note"] for rows in (before, after)]
    assert notes[0] == notes[1]
    assert before != after


def test_a_changed_text_redoes_its_user_alone(memory_path: Path) -> None:
    """All other rows stay as they are."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)
    before = rows_of(settings.output, without=BO)
    bo = Person(user_id=BO, texts=GARDEN, asks=ask("note", "post"))
    make_settings(memory_path, people(bo=bo), has_requests=True)

    expected = forecast(settings)
    counts = pipeline.run(settings).counts

    assert expected.changes == {("note", Change.TEXT): 1, ("post", Change.TEXT): 1}
    assert counts.generated == expected.counts.generated == 2
    assert rows_of(settings.output, without=BO) == before


def leaves(values: dict[str, Any], prefix: str = "") -> set[str]:
    """Return the dotted names of all settings."""
    names = set()
    for name, value in values.items():
        dotted = f"{prefix}{name}"
        names |= leaves(value, f"{dotted}.") if isinstance(value, dict) else {dotted}
    return names


CHANGES_TEXTS: dict[str, object] = {
    "seed": 1,
    "prompting.num_topic_texts": 1,
    "prompting.num_style_texts": 1,
    "prompting.style_texts": "recent",
    "prompting.max_shown_chars": 50,
    "prompting.max_subject_chars": 500,
    "generation.candidates": 3,
    "generation.temperature": 0.1,
    "generation.top_k": 3,
    "generation.top_p": 0.3,
    "generation.min_p": 0.05,
    "generation.repetition_penalty": 1.5,
    "generation.no_repeat_ngram": 3,
    "generation.max_new_tokens": 7,
    "generation.max_draws": 2,
    "generation.languages": ["en"],
    "generation.dtype": "bfloat16",
    "selection.max_copied_words": 4,
    "selection.max_quoted_words": 4,
    "selection.max_repeated_sentence": 2,
    "selection.max_echoed_words": 4,
    "selection.min_grounded_share": 0.1,
    "selection.max_leaked_words": 5,
    "selection.banned_words": ["kettle"],
    "selection.required_words": ["kettle"],
    "selection.min_style_texts": 5,
    "selection.scorer": "shape",
    "selection.min_scored_texts": 9,
    "selection.min_scored_words": 9,
    "selection.min_own_mark": 0.5,
    "selection.min_impostors": 9,
}
CHANGES_NO_TEXT: dict[str, object] = {
    "generation.device": "cpu",
    "generation.threads": 1,
    "generation.max_batch_tokens": 512,
    "generation.unit_tokens": 50,
    "shards": 9,
    "store.keep": 3,
    "store.notes_mb": 1,
    "kinds": ["note"],
}
OF_THE_PLACE = {
    # Where things are, and how they are read: what follows for a user is in the user's inputs.
    *("model", "output", "templates_dir", "store.buckets", "selection.embedder"),
    "generation.adapter_kinds",  # part of which model it is, tested below
    *(f"inputs.{name}" for name in ("profiles", "interactions", "items", "requests", "zone")),
    *("inputs.language", "inputs.max_text_chars", "inputs.damaged"),
    "inputs.replies",
    *("inputs.max_user_interactions", "inputs.max_row_group_bytes"),
}


def test_it_is_settled_of_every_setting_whether_it_changes_texts() -> None:
    """Whoever adds a setting says what it does to the rows that are there."""
    # What a model learns changes texts as another model does, once it is trained and named.
    told = Settings().model_dump(exclude={"inputs": {"columns"}, "training": True, "scratch": True})
    settings = leaves(told)

    assert settings == {*CHANGES_TEXTS, *CHANGES_NO_TEXT} | OF_THE_PLACE


def test_a_setting_that_changes_texts_redoes_all(memory_path: Path) -> None:
    """Its part of the fingerprint is another, and no other part is."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)

    for name, value in CHANGES_TEXTS.items():
        changed = make_settings(memory_path, people(), has_requests=True, **{name: value})
        changes = forecast(changed).changes
        assert sum(changes.values()) == 6, name
        part = Change.MODEL if name == "generation.languages" else Change.SETTINGS
        assert {change for _, change in changes} == {part}, name
        assert Assembly(changed).fingerprint != Assembly(settings).fingerprint, name


def test_an_adapter_redoes_the_kinds_that_it_has_learned(
    memory_path: Path, tiny_gpt2: Path
) -> None:
    """The others are its base's, and their rows stay to the last column."""
    adapter = make_adapter(tiny_gpt2, memory_path / "adapter")
    note_learned(adapter, "post")

    def settings_of(model: Path, **changed: object) -> Settings:
        told = {"model": str(model), "generation.device": "cpu", "generation.threads": 1, **changed}
        return make_settings(memory_path, people(), has_requests=True, **told)

    plain, tuned = settings_of(tiny_gpt2), settings_of(adapter)
    whole = settings_of(
        adapter, output=memory_path / "whole", **{"generation.adapter_kinds": ["note", "post"]}
    )
    pipeline.run(plain)
    before = rows_of(plain.output)["results"]

    changes = forecast(tuned).changes
    counts = pipeline.run(tuned).counts
    pipeline.run(whole)
    after, by_adapter = rows_of(tuned.output)["results"], rows_of(whole.output)["results"]

    assert changes == {("post", Change.MODEL): 3}
    assert (counts.generated, counts.unchanged) == (3, 3)
    assert of_kind(after, "note") == of_kind(before, "note") != of_kind(by_adapter, "note")
    assert of_kind(after, "post") == of_kind(by_adapter, "post") != of_kind(before, "post")
    assert {(row["kind"], row["adapter"]) for row in after} == {
        ("note", None),
        ("post", str(adapter)),
    }
    assert len({Assembly(each).fingerprint for each in (plain, tuned, whole)}) == 3


def test_a_setting_that_changes_no_text_redoes_nothing(memory_path: Path) -> None:
    """Shards, batch sizes, progress, and the output folder itself."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)
    moved = shutil.copytree(settings.output, memory_path / "moved", symlinks=True)

    changed = make_settings(
        memory_path, people(), has_requests=True, output=moved, **CHANGES_NO_TEXT
    )
    summary = pipeline.run(changed, progress=SilentProgress())

    assert (summary.counts.generated, summary.counts.unchanged) == (0, 6)
    assert summary.snapshot is None
    assert Assembly(changed).fingerprint == Assembly(settings).fingerprint


def test_a_forecast_writes_nothing(memory_path: Path) -> None:
    """No file of the output, the inputs or the templates is touched, and none is made."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)
    make_settings(memory_path, people(bo=Person(user_id=BO)), has_requests=True)
    before = tree(memory_path)

    forecast(settings, scope=Scope(prunes=True, retries_rejected=True))

    assert tree(memory_path) == before


def test_a_derived_request_takes_the_place_of_the_one_before(memory_path: Path) -> None:
    """Another topic is another key; the row of the old one is withdrawn and counted."""
    settings = make_settings(memory_path, people())
    pipeline.run(settings)
    before = rows_of(settings.output, without=BO)
    old = subjects(settings.output, BO)
    make_settings(memory_path, people(bo=Person(user_id=BO, texts=GARDEN)))

    expected = forecast(settings).counts
    counts = pipeline.run(settings).counts

    assert (counts.generated, counts.withdrawn, counts.orphaned) == (1, 1, 0)
    assert (expected.generated, expected.withdrawn) == (1, 1)
    assert len(subjects(settings.output, BO)) == 1
    assert subjects(settings.output, BO) != old
    assert rows_of(settings.output, without=BO) == before
    assert {row["user_id"] for row in read_table(settings.output, "candidates").to_pylist()} == {
        ADA,
        BO,
        CY,
    }
    assert verify(settings.output) == ()


def test_a_rejection_for_want_of_a_subject_goes_when_there_is_one(memory_path: Path) -> None:
    """A user without a topic who finds one has one row, the result."""
    settings = make_settings(memory_path, people(bo=Person(user_id=BO, texts=())))
    assert pipeline.run(settings).counts.rejections == 1
    make_settings(memory_path, people())

    counts = pipeline.run(settings).counts

    assert (counts.results, counts.withdrawn) == (1, 1)
    assert read_table(settings.output, "rejections").num_rows == 0
    assert len(subjects(settings.output, BO)) == 1


@pytest.mark.parametrize("by", ["limit", "users", "max_requests"])
def test_users_whom_a_run_did_not_look_at_keep_their_rows(by: str, memory_path: Path) -> None:
    """Cut off by a number or by name, or left for the next run."""
    settings = make_settings(memory_path, people())
    pipeline.run(settings)
    before = rows_of(settings.output)
    make_settings(memory_path, [Person(user_id=name, texts=GARDEN) for name in (ADA, BO, CY)])
    scopes = {
        "limit": Scope(prunes=True),
        "users": Scope(users=frozenset({user_digest(BO)}), prunes=True),
        "max_requests": Scope(max_requests=1, prunes=True),
    }

    counts = pipeline.run(settings, limit=1 if by == "limit" else None, scope=scopes[by]).counts

    assert (counts.generated, counts.withdrawn, counts.orphaned) == (1, 1, 0)
    assert counts.deferred == (2 if by == "max_requests" else 0)
    after = rows_of(settings.output)
    kept = [row for row in before["results"] if row in after["results"]]
    assert len(kept) == 2
    assert len(after["results"]) == 3
    assert by != "users" or BO not in {row["user_id"] for row in kept}


def test_rows_that_nobody_asks_for_stay_and_are_counted_until_they_are_pruned(
    memory_path: Path,
) -> None:
    """A requests table says what to write now; what it was asked before is not lost with it."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)
    before = rows_of(settings.output)
    left = [Person(user_id=ADA, asks=ask("note")), Person(user_id=BO)]
    make_settings(memory_path, left, has_requests=True)

    counts = pipeline.run(settings).counts
    again = pipeline.run(settings).counts
    kept = rows_of(settings.output)
    expected = forecast(settings, scope=Scope(prunes=True)).counts
    pruned = pipeline.run(settings, scope=Scope(prunes=True)).counts

    assert (counts.requests, counts.unchanged, counts.orphaned) == (1, 1, 5)
    assert (counts.withdrawn, again.orphaned) == (0, 5)
    assert kept == before
    assert (pruned.withdrawn, pruned.orphaned) == (expected.withdrawn, expected.orphaned) == (5, 0)
    assert [(r["user_id"], r["kind"]) for r in rows_of(settings.output)["results"]] == [
        (ADA, "note")
    ]


def test_rows_of_users_who_left_the_inputs_are_counted_too(memory_path: Path) -> None:
    """Without a requests table, everybody in the inputs asks."""
    settings = make_settings(memory_path, people())
    pipeline.run(settings)
    make_settings(memory_path, people()[:2])

    counts = pipeline.run(settings).counts
    pruned = pipeline.run(settings, scope=Scope(prunes=True)).counts

    assert (counts.orphaned, counts.withdrawn) == (1, 0)
    assert (pruned.orphaned, pruned.withdrawn) == (0, 1)
    assert subjects(settings.output, CY) == []


def test_rejected_requests_are_tried_again_when_that_is_asked_for(memory_path: Path) -> None:
    """They alone: results stay as they are, and so does what planning rejects."""
    asked = (*ask("strict", "note", "post"), {"kind": "ode", "subject": "x"})
    settings = make_settings(
        memory_path, people(bo=Person(user_id=BO, asks=asked)), has_requests=True
    )
    first = pipeline.run(settings).counts
    assert first.rejections == 2

    plain = pipeline.run(settings).counts
    expected = forecast(settings, scope=Scope(retries_rejected=True))
    retried = pipeline.run(settings, scope=Scope(retries_rejected=True)).counts

    assert plain.unchanged == plain.requests == 8
    assert expected.changes == {("strict", Change.RETRY): 1}
    assert (retried.generated, retried.rejections, retried.unchanged) == (1, 1, 7)


def test_users_can_be_named(memory_path: Path) -> None:
    """Only theirs are written, and those nobody knows are told by number."""
    settings = make_settings(memory_path, people(), has_requests=True)
    told: list[str] = []

    class Listening(SilentProgress):
        def note(self, line: str) -> None:
            told.append(line)

    users = frozenset(map(user_digest, (BO, "nobody")))
    counts = pipeline.run(settings, scope=Scope(users=users), progress=Listening()).counts

    assert counts.requests == counts.generated == 2
    assert {row["user_id"] for row in rows_of(settings.output)["results"]} == {BO}
    assert "1 of the 2 users named are served" in told


@pytest.mark.parametrize("most", [0, 1, 2, 4, 100])
def test_a_run_may_be_cut_into_several(most: int, memory_path: Path) -> None:
    """So many texts at the most, each balanced, until all is as one run would have it."""
    settings = make_settings(memory_path / "parts", people(), has_requests=True)
    whole = make_settings(memory_path / "whole", people(), has_requests=True)
    pipeline.run(whole)

    for done in range(0, 6, most or 6):
        expected = forecast(settings, scope=Scope(max_requests=most)).counts
        counts = pipeline.run(settings, scope=Scope(max_requests=most)).counts
        assert counts.is_balanced
        assert counts.generated == expected.generated == min(most, 6 - done)
        assert counts.deferred == expected.deferred == 6 - done - counts.generated

    assert (rows_of(settings.output) == rows_of(whole.output)) == (most > 0)


def age(output: Path) -> None:
    """Turn an output folder into one that the version before has written."""
    record = max((output / "_snapshots").glob("*.json"))
    values = json.loads(record.read_text())
    for file in values["files"]:
        path = output / file["path"]
        table = pq.ParquetFile(path).read()
        if "is_derived" in table.column_names:
            old = pa.array([hashlib.sha256(b"old").hexdigest()] * table.num_rows)
            table = table.drop_columns(["is_derived"])
            place = table.column_names.index("fingerprint")
            table = table.set_column(place, "fingerprint", old)
        for name in (path, output / "latest" / file["table"] / path.name):
            name.unlink()
        pq.write_table(table, path, store_schema=False)
        (output / "latest" / file["table"] / path.name).hardlink_to(path)
        file["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        file["bytes"] = path.stat().st_size
    for name in ("deferred", "withdrawn", "orphaned"):
        del values["counts"][name]
    record.write_text(_unsealed({**values, "schema": 1}))
    identity = output / "_personalm.json"
    identity.write_text(_unsealed({**json.loads(identity.read_text()), "schema": 1}))


def _unsealed(record: dict[str, Any]) -> str:
    """Return a record as it was written before records were sealed."""
    return json.dumps({name: value for name, value in record.items() if name != "seal"})


def test_an_output_of_the_version_before_is_read_and_renewed_by_the_next_run(
    memory_path: Path,
) -> None:
    """What it lacks is null; every text is written again, and all files are alike afterwards."""
    settings = make_settings(memory_path, people(), has_requests=True)
    pipeline.run(settings)
    age(settings.output)
    assert verify(settings.output) == ()
    assert {row["is_derived"] for row in read_table(settings.output).to_pylist()} == {None}
    make_settings(memory_path, people()[:1], has_requests=True)

    expected = forecast(settings)
    counts = pipeline.run(settings).counts

    assert expected.changes == {("note", Change.VERSION): 1, ("post", Change.VERSION): 1}
    assert (counts.generated, counts.orphaned) == (2, 4)
    assert verify(settings.output) == ()
    files = list((settings.output / "latest" / "results").glob("*.parquet"))
    assert len(files) > 1
    assert {"is_derived" in pq.read_schema(file).names for file in files} == {True}
    record = max((settings.output / "_snapshots").glob("*.json"))
    assert json.loads(record.read_text())["schema"] == SCHEMA_VERSION


def test_a_row_that_was_asked_for_is_not_taken_for_a_derived_one(memory_path: Path) -> None:
    """Runs without a requests table leave what was asked for in another run."""
    asked = [replace(p, asks=ask("post", subject="trains")) for p in people()]
    settings = make_settings(memory_path, asked, has_requests=True)
    pipeline.run(settings)
    before = rows_of(settings.output)["results"]
    derived = make_settings(memory_path / "derived", people(), output=settings.output)

    counts = pipeline.run(derived).counts

    assert (counts.generated, counts.withdrawn, counts.orphaned) == (3, 0, 3)
    after = rows_of(settings.output)["results"]
    assert [row for row in after if row in before] == before
