"""Laws of the leak index in runs: nobody's words in another's text, and one edition until asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import generate_for, pipeline
from personalm.errors import StoreError
from personalm.forecasting import forecast
from personalm.inputs.spill import spill
from personalm.leaks import LEAKS, find_leaks, make_leaks, take_out
from personalm.pipeline import Run, open_run
from personalm.selection.grams import grams_of
from personalm.store.forgetting import forget
from personalm.store.reading import read_table, status
from personalm.store.store import Store
from personalm.store.verify import verify
from tests.population import POST, Person, make_settings, rows_of, write_templates

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.leaks import Leaks
    from personalm.settings import Settings

LEAKY = POST.replace('gates = ["empty"]', 'gates = ["empty", "leak"]')
PEOPLE = [
    Person(
        user_id=f"u{n}", texts=(f"the kettle of house {n} sings", f"day {n} of a long winter here")
    )
    for n in range(6)
]


def settings_of(folder: Path, people: list[Person], **more: Any) -> Settings:
    """Return settings of a run whose posts have the gate."""
    write_templates(folder / "templates", post=LEAKY)
    return make_settings(folder, people, has_requests=False, kinds=("post",), **more)


def text_of(settings: Settings, user_id: str) -> str:
    """Return the published text of a user."""
    (row,) = [r for r in rows_of(settings.output)["results"] if r["user_id"] == user_id]
    return str(row["text"])


def leaks_of(settings: Settings) -> Leaks | None:
    """Return the output's leak index."""
    return find_leaks(Store.require(settings.output).artefacts, settings.selection)


def edition_of(settings: Settings) -> str:
    """Return its edition."""
    leaks = leaks_of(settings)
    assert leaks is not None
    return leaks.edition


def num_rows_of(settings: Settings) -> int:
    """Return how many runs it knows."""
    leaks = leaks_of(settings)
    assert leaks is not None
    return leaks.index.num_rows


def test_what_another_user_wrote_is_not_written_for_a_user(tmp_path: Path) -> None:
    """The very text that would be chosen is dropped once a stranger has written it."""
    alone = settings_of(tmp_path / "alone", PEOPLE)
    pipeline.run(alone)
    wanted = text_of(alone, "u1")
    stranger = Person(user_id="stranger", texts=(f"as I said: {wanted}", "bye"))
    both = settings_of(tmp_path / "both", [*PEOPLE, stranger])
    summary = pipeline.run(both)

    assert text_of(both, "u1") != wanted
    dropped = [r for r in rows_of(both.output)["candidates"] if r["dropped_by"] == "leak"]
    assert wanted in {row["text"] for row in dropped}
    assert summary.drops.by_gate["leak"] == len(dropped)
    assert summary.drops.candidates == len(rows_of(both.output)["candidates"])
    assert status(both.output)["drops"]["by_gate"] == dict(summary.drops.by_gate)


def test_ones_own_words_are_no_leak(tmp_path: Path) -> None:
    """Though they stand in the index."""
    alone = settings_of(tmp_path / "alone", PEOPLE)
    pipeline.run(alone)
    wanted = text_of(alone, "u1")
    own = [replace(p, texts=(*p.texts, wanted)) if p.user_id == "u1" else p for p in PEOPLE]
    both = settings_of(tmp_path / "both", own)
    pipeline.run(both)

    dropped = [r for r in rows_of(both.output)["candidates"] if r["dropped_by"] == "leak"]
    assert "u1" not in {row["user_id"] for row in dropped}


def test_another_users_new_text_changes_no_edition_and_nobodys_row(tmp_path: Path) -> None:
    """The nightly run writes for whom something has changed, and for nobody else."""
    settings = settings_of(tmp_path, PEOPLE)
    pipeline.run(settings)
    before, edition = rows_of(settings.output, without="u2"), edition_of(settings)
    more = "one more text that is long enough to be in an index"
    changed = [replace(p, texts=(*p.texts, more)) if p.user_id == "u2" else p for p in PEOPLE]
    settings = settings_of(tmp_path, [*changed, Person(user_id="new")])
    assert forecast(settings).counts.generated == 2
    summary = pipeline.run(settings)

    assert summary.counts.generated == 2
    assert edition_of(settings) == edition
    after = rows_of(settings.output, without="u2")
    assert [r for r in after["results"] if r["user_id"] != "new"] == before["results"]


def test_rebuilding_takes_in_the_texts_of_today_and_writes_anew(tmp_path: Path) -> None:
    """A dry run says so; an index of the same texts is the same edition, and changes nothing."""
    settings = settings_of(tmp_path, PEOPLE)
    pipeline.run(settings)
    assert pipeline.run(settings, rebuild=True).counts.generated == 0
    edition = edition_of(settings)
    texts = ("nine words that nobody else has written here before", "the kettle")
    newcomer = Person(user_id="new", texts=texts)
    settings = settings_of(tmp_path, [*PEOPLE, newcomer])
    assert forecast(settings, rebuild=True).counts.generated == len(PEOPLE) + 1
    summary = pipeline.run(settings, rebuild=True)

    assert summary.counts.generated == len(PEOPLE) + 1
    assert edition_of(settings) != edition
    assert status(settings.output)["artefacts"][LEAKS]["users"] == len(PEOPLE) + 1


def test_what_stands_in_the_catalogue_is_nobodys(tmp_path: Path) -> None:
    """Whoever quotes it."""
    blurb = "a small kettle of hammered copper that whistles in two tones"
    people = [*PEOPLE, Person(user_id="quoter", texts=(f"look: {blurb}", "the kettle"))]
    items = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": ["i"], "title": ["Kettle"], "description": [blurb]}), items)
    plain = settings_of(tmp_path / "plain", people)
    known = settings_of(tmp_path / "known", people, **{"inputs.items": str(items)})
    for settings in (plain, known):
        pipeline.run(settings)

    grams = grams_of([blurb], 8)
    indexes = [leaks.index for s in (plain, known) if (leaks := leaks_of(s))]
    found = [index.find_strangers(grams, ["u1"]).tolist() for index in indexes]
    assert found == [grams.tolist(), []]


def test_another_length_of_runs_makes_another_index(tmp_path: Path) -> None:
    """One of other runs would tell of nothing."""
    pipeline.run(settings_of(tmp_path, PEOPLE))
    shorter = settings_of(tmp_path, PEOPLE, **{"selection.max_leaked_words": 4})
    assert leaks_of(shorter) is None
    pipeline.run(shorter)

    leaks = leaks_of(shorter)
    assert leaks is not None
    assert leaks.index.num_words == 5


def test_who_is_forgotten_leaves_the_index_and_nobody_is_written_anew(tmp_path: Path) -> None:
    """Neither now nor in the next run, whose inputs are without the user."""
    private = "my locker at the pool opens with seven turns to the left"
    settings = settings_of(tmp_path, [*PEOPLE, Person(user_id="gone", texts=(private,))])
    pipeline.run(settings)
    edition, num_rows = edition_of(settings), num_rows_of(settings)
    erasure = forget(settings.output, ["gone"], take_out={LEAKS: take_out})

    assert erasure.artefacts == (LEAKS,)
    assert edition_of(settings) == edition
    assert num_rows_of(settings) == num_rows - 5
    assert verify(settings.output) == ()
    assert forget(settings.output, ["gone"], take_out={LEAKS: take_out}).is_empty
    assert pipeline.run(settings_of(tmp_path, PEOPLE)).counts.generated == 0


def test_the_index_holds_neither_texts_nor_ids(tmp_path: Path) -> None:
    """Hashes alone, in a folder of its owner; of the making nothing is left."""
    private = "zanzibar quokka marmalade seven lanterns under the old bridge tonight"
    settings = settings_of(tmp_path, [*PEOPLE, Person(user_id="id-canary", texts=(private,))])
    pipeline.run(settings)

    stored = b"".join(p.read_bytes() for p in (settings.output / "_artefacts").iterdir())
    assert not any(word.encode() in stored for word in (*private.split(), "id-canary"))
    assert (settings.output / "_artefacts").stat().st_mode & 0o077 == 0
    assert not list((settings.output / "_runs").rglob("*leaks*"))


def test_kinds_without_the_gate_know_no_edition(tmp_path: Path) -> None:
    """Their rows are the same whatever the index, and without one."""
    plain = make_settings(tmp_path / "plain", PEOPLE, kinds=("post",))
    pipeline.run(plain)
    assert leaks_of(plain) is None

    asked = [replace(p, asks=({"kind": "note", "subject": "salt"},)) for p in PEOPLE]
    one = make_settings(tmp_path / "one", asked, has_requests=True)
    two = make_settings(tmp_path / "two", [*asked, Person(user_id="x")], has_requests=True)
    for settings in (one, two):
        pipeline.run(settings)
    assert edition_of(one) == edition_of(two)
    assert rows_of(one.output) == rows_of(two.output)


def test_workers_and_notebooks_use_the_outputs_index(tmp_path: Path) -> None:
    """A worker plans what its driver planned, and a text written alone is the batch's."""
    settings = settings_of(tmp_path, PEOPLE)
    pipeline.run(settings, limit=0)
    with open_run(settings) as run:
        reports = [Run.attach(run.folder).write_bucket(bucket) for bucket in run.buckets]
        run.publish(reports)
    assert pipeline.run(settings).counts.generated == 0

    config = tmp_path / "c.toml"
    config.write_text("")
    given: dict[str, Any] = {
        "output": settings.output,
        "templates_dir": settings.templates_dir,
        "selection.embedder": "scripted",
        "inputs.profiles": settings.inputs.profiles,
        "inputs.interactions": settings.inputs.interactions,
    }
    alone = generate_for("u3", "post", model="scripted", config=config, **given)
    (row,) = [r for r in read_table(settings.output).to_pylist() if r["user_id"] == "u3"]
    assert (alone.text, alone.provenance["fingerprint"]) == (row["text"], row["fingerprint"])


def test_a_run_that_dies_before_the_index_is_published_starts_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that dies after it goes on with the same edition."""
    settings = settings_of(tmp_path, PEOPLE)
    with monkeypatch.context() as patch:
        patch.setattr(
            "personalm.leaks.LeakIndexBuilder.finish",
            lambda *_: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(settings)
    assert leaks_of(settings) is None
    with open_run(settings) as run:
        run.write_bucket(run.buckets[0])
    edition = edition_of(settings)
    summary = pipeline.run(settings)

    assert summary.counts.resumed > 0
    assert edition_of(settings) == edition


def test_another_run_that_reads_its_inputs_takes_no_rows_out_of_the_index(tmp_path: Path) -> None:
    """Where the lock was lost the run ends, rather than go on with an index that lacks some."""
    settings = settings_of(tmp_path, PEOPLE)
    store = Store.open(settings.output, buckets=1)
    folder = tmp_path / "spill"
    ours = spill(settings.inputs, folder, num_buckets=1)
    make_leaks(ours, store.artefacts, items=(), selection=settings.selection)
    assert (ours.own_folder / LEAKS).is_dir()

    theirs = spill(settings.inputs, folder, num_buckets=1)

    with pytest.raises(StoreError, match="lost or gained"):
        make_leaks(ours, store.artefacts, items=(), selection=settings.selection)
    assert make_leaks(theirs, store.artefacts, items=(), selection=settings.selection)
    theirs.close()
    assert not folder.exists()
