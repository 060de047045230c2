"""Laws of the pool of impostors: made once, of people who agreed, and left by who is forgotten."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import personalm
from personalm import pipeline, strangers
from personalm.errors import StoreDamagedError
from personalm.forecasting import forecast
from personalm.hashing import bucket_of, user_digest
from personalm.pipeline import Run, open_run
from personalm.selection.embedder import ScriptedEmbedder
from personalm.store.artefacts import Artefacts
from personalm.store.forgetting import forget
from personalm.store.layout import Layout
from personalm.store.parquet import decode
from personalm.store.reading import read_table
from personalm.store.verify import verify
from tests.population import Person, make_settings, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from personalm.settings import Settings

_WORDS = """kettle garden harbour piano ferry lantern orchard camera bicycle winter bread music
today yesterday nobody somebody broken loud quiet again never always cold warm old new""".split()  # noqa: SIM905 - reads better


def texts_of(number: int, *, num_texts: int = 8) -> tuple[str, ...]:
    """Return texts of somebody with a few words and a habit of their own."""
    random = Random(number)  # noqa: S311 - no secret
    own = random.sample(_WORDS, 8)
    mark = random.choice(".!?…")
    return tuple(
        f"{' '.join(random.choices(own, k=random.randint(7, 12)))}{mark}" for _ in range(num_texts)
    )


PEOPLE = [Person(user_id=f"u{number}", texts=texts_of(number)) for number in range(26)]
ADA = Person(user_id="ada", texts=texts_of(99))


def settings_of(folder: Path, people: Sequence[Person] = PEOPLE, **more: Any) -> Settings:
    """Return settings of a run over some people."""
    return make_settings(folder, people, **{"generation.languages": ["en"], **more})


def owners(settings: Settings) -> list[str]:
    """Return whose rows are in the pool."""
    artefacts = Artefacts(Layout.at(settings.output))
    artefact = artefacts.latest(strangers.IMPOSTORS)
    assert artefact is not None
    path = artefacts.path_of(artefact)
    rows = decode(artefacts.read(artefact), path, schema=strangers._SCHEMA)
    return list(rows["owner"].to_pylist())


def edition(settings: Settings) -> str | None:
    """Return the edition of the pool, if there is one."""
    artefact = Artefacts(Layout.at(settings.output)).latest(strangers.IMPOSTORS)
    return artefact.edition if artefact else None


def test_the_first_run_makes_the_pool_and_scores_have_a_scale(memory_path: Path) -> None:
    """Every result has a mark, and most have a score; the file is private and holds no text."""
    settings = settings_of(memory_path)
    pipeline.run(settings)

    rows = read_table(settings.output).to_pylist()
    assert len(rows) == len(PEOPLE)
    assert all(row["own_mark"] is not None for row in rows)
    scored = [row for row in rows if row["style_score"] is not None]
    assert len(scored) > len(rows) / 2
    assert all(row["own_mark"] >= 0.3 for row in scored)
    assert set(owners(settings)) == {user_digest(person.user_id) for person in PEOPLE}
    folder = settings.output / "_artefacts"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    words = {word.encode() for word in _WORDS}
    for path in folder.iterdir():
        assert not [word for word in words if word in path.read_bytes()]
    assert verify(settings.output) == ()


def test_the_pool_stays_as_it_is_whoever_comes_and_writes(memory_path: Path) -> None:
    """A new text, a new user and one who left change nobody else's rows, scores included."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    before, first = rows_of(settings.output, without="u3"), edition(settings)
    changed = [*PEOPLE[:3], replace(PEOPLE[3], texts=texts_of(77)), *PEOPLE[4:], ADA]
    settings_of(memory_path, changed)

    counts = pipeline.run(settings).counts

    assert counts.generated == 2
    assert edition(settings) == first
    after = rows_of(settings.output, without="u3")
    ada = [row for row in after["results"] if row["user_id"] == "ada"]
    assert [row["own_mark"] is None for row in ada] == [False]
    assert {k: [r for r in rows if r["user_id"] != "ada"] for k, rows in after.items()} == before


def test_with_the_same_pool_other_people_make_no_difference(memory_path: Path) -> None:
    """Half of the users, alone with the pool of all of them, get the very same rows."""
    settings = settings_of(memory_path / "all")
    pipeline.run(settings)
    half = settings_of(memory_path / "half", PEOPLE[:13])
    half.output.mkdir()
    shutil.copytree(settings.output / "_artefacts", half.output / "_artefacts")
    shutil.copy(settings.output / "_personalm.json", half.output)

    pipeline.run(half)

    wanted = {person.user_id for person in PEOPLE[:13]}
    assert rows_of(half.output) == {
        table: [row for row in rows if row["user_id"] in wanted]
        for table, rows in rows_of(settings.output).items()
    }


def test_who_opted_out_is_in_no_pool(memory_path: Path) -> None:
    """Neither are their notes kept."""
    shy = [replace(PEOPLE[0], opt_out=True), *PEOPLE[1:]]
    settings = settings_of(memory_path, shy)
    pipeline.run(settings)
    assert user_digest("u0") not in owners(settings)

    settings_of(memory_path, [*shy[:1], replace(PEOPLE[1], opt_out=True), *PEOPLE[2:]])
    notes = settings.output / "_notes"
    assert any(user_digest("u1").encode() in p.read_bytes() for p in _decoded(notes))
    pipeline.run(settings)
    assert not any(user_digest("u1").encode() in p.read_bytes() for p in _decoded(notes))


@pytest.mark.parametrize("limit", [None, 0])
def test_who_opts_out_leaves_a_pool_that_is_there_and_nobody_is_written_again(
    memory_path: Path, limit: int | None
) -> None:
    """At the next run, whomever it looks at; only the opted-out user's own row goes with it."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    first, before = edition(settings), rows_of(settings.output, without="u3")
    settings_of(memory_path, [*PEOPLE[:3], replace(PEOPLE[3], opt_out=True), *PEOPLE[4:]])

    counts = pipeline.run(settings, limit=limit).counts

    stays = {user_digest(person.user_id) for person in PEOPLE if person.user_id != "u3"}
    assert set(owners(settings)) == stays
    assert len(list((settings.output / "_artefacts").glob("impostors-*"))) == 1
    assert (edition(settings), counts.generated) == (first, 0)
    assert rows_of(settings.output, without="u3") == before
    assert verify(settings.output) == ()
    assert forecast(settings).counts.generated == 0


def test_a_pool_of_people_who_all_opted_out_is_empty_and_scores_abstain(
    memory_path: Path,
) -> None:
    """No other one is made of its own accord: that would write every text again."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    first = edition(settings)
    settings_of(memory_path, [*(replace(person, opt_out=True) for person in PEOPLE), ADA])

    pipeline.run(settings)

    assert (owners(settings), edition(settings)) == ([], first)
    (row,) = read_table(settings.output).to_pylist()
    assert (row["user_id"], row["style_score"]) == ("ada", None)


def test_nothing_stays_noted_about_who_opted_out_though_nobody_asks_for_it(
    memory_path: Path,
) -> None:
    """Neither about a user, nor about a voice that a user of another bucket was written in."""
    buckets, asks = {"store.buckets": 64}, ({"kind": "post", "subject": "a new day"},)
    place = {person.user_id: bucket_of(person.user_id, 64) for person in PEOPLE}
    shy = min(place, key=place.__getitem__)
    asker, *voices = [name for name in sorted(place, key=place.__getitem__) if name != shy][:4]
    in_voice = [{**asks[0], "subject": f"day {name}", "voice_id": name} for name in voices]

    def write(*, before: bool) -> list[set[str]]:
        lost = {} if before else dict.fromkeys((shy, *voices[:2]), True)
        asked = [replace(p, asks=asks, opt_out=p.user_id in lost) for p in PEOPLE]
        people = [
            replace(p, asks=() if p.opt_out else asks)
            if p.user_id != asker
            else replace(p, asks=tuple(in_voice if before else in_voice[:1]))
            for p in asked
        ]
        settings = settings_of(memory_path, people, has_requests=True, **buckets)
        pipeline.run(settings)
        return noted_in(settings)

    noted = write(before=True)
    assert {user_digest(name) for name in voices} in noted
    assert {user_digest(shy)} in noted

    noted = write(before=False)
    assert not set.union(*noted) & {user_digest(name) for name in (shy, *voices)}
    assert len(set.union(*noted)) > len(PEOPLE) / 2


def noted_in(settings: Settings) -> list[set[str]]:
    """Return the owners of the notes of each bucket."""
    folder = settings.output / "_notes"
    return [set(pq.read_table(path)["owner"].to_pylist()) for path in folder.glob("*.parquet")]


def _decoded(folder: Path) -> list[Path]:
    """Return the files of notes, each beside its owners in plain text."""
    found = []
    for path in folder.glob("*.parquet"):
        plain = folder.parent / f"{path.name}.txt"
        plain.write_text("\n".join(pq.read_table(path)["owner"].to_pylist()))
        found.append(plain)
    return found


def test_who_is_forgotten_leaves_pool_and_notes_and_nobody_is_written_again(
    memory_path: Path,
) -> None:
    """The pool has another digest and the same edition."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    first, before = edition(settings), rows_of(settings.output, without="u5")

    erasure = forget(settings.output, ["u5"], take_out={strangers.IMPOSTORS: strangers.take_out})

    assert erasure.artefacts == (strangers.IMPOSTORS,)
    assert erasure.num_notes == 1
    assert user_digest("u5") not in owners(settings)
    assert len(set(owners(settings))) == len(PEOPLE) - 1
    assert edition(settings) == first
    assert rows_of(settings.output) == before
    settings_of(memory_path, [p for p in PEOPLE if p.user_id != "u5"])
    assert pipeline.run(settings).counts.generated == 0
    again = forget(settings.output, ["u5"], take_out={strangers.IMPOSTORS: strangers.take_out})
    assert again.is_empty


def test_it_is_made_anew_on_demand_alone(memory_path: Path) -> None:
    """And then every text is written again."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    first = edition(settings)
    settings_of(memory_path, [*PEOPLE, ADA])
    assert pipeline.run(settings).counts.generated == 1
    assert edition(settings) == first

    counts = pipeline.run(settings, rebuild=True).counts

    assert counts.generated == len(PEOPLE) + 1
    assert edition(settings) != first
    assert user_digest("ada") in owners(settings)
    assert pipeline.run(settings).counts.generated == 0
    assert forecast(settings).counts.generated == 0


def test_too_few_people_make_no_pool_and_scores_abstain(memory_path: Path) -> None:
    """Null, with cosine and tier; the run in which there are enough makes one."""
    settings = settings_of(memory_path, PEOPLE[:9])
    pipeline.run(settings)
    rows = read_table(settings.output).to_pylist()
    assert edition(settings) is None
    assert all(row["style_score"] is None and row["own_mark"] is None for row in rows)
    assert all(row["style_cosine"] is not None and row["tier"] == "5-19" for row in rows)

    settings_of(memory_path)
    assert pipeline.run(settings).counts.generated == len(PEOPLE)
    assert edition(settings) is not None


@pytest.mark.parametrize("num_texts", [0, 1, 3])
def test_users_with_little_writing_have_a_text_and_no_score(
    memory_path: Path, num_texts: int
) -> None:
    """Null, never 0.0, and the tier says why."""
    few = Person(user_id="few", texts=texts_of(50)[:num_texts], asks=_ASKS)
    people = [*(replace(person, asks=_ASKS) for person in PEOPLE), few]
    settings = make_settings(memory_path, people, has_requests=True)
    pipeline.run(settings)
    (row,) = (r for r in read_table(settings.output).to_pylist() if r["user_id"] == "few")
    assert row["text"]
    assert row["style_score"] is None
    assert row["own_mark"] is None
    assert row["tier"] == ("1-4" if num_texts else "0")


_ASKS = ({"kind": "post", "subject": "a long winter"},)


def test_another_embedder_makes_another_pool(memory_path: Path) -> None:
    """Rows of two embedders are never compared; shape alone needs none."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    first = edition(settings)
    selection = settings.selection.model_copy(update={"scorer": "shape"})
    shape = settings.model_copy(update={"selection": selection})

    assert pipeline.run(shape).counts.generated == len(PEOPLE)

    assert edition(settings) != first
    rows = read_table(settings.output).to_pylist()
    assert any(row["style_score"] is not None for row in rows)
    assert all(row["style_cosine"] is None for row in rows)


def test_a_damaged_pool_stops_a_run_and_is_made_anew_on_demand(memory_path: Path) -> None:
    """A run without it would choose other texts, and look like a good one."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    first = edition(settings)
    (path,) = (settings.output / "_artefacts").glob("impostors-*")
    path.write_bytes(b"damaged")

    with pytest.raises(StoreDamagedError, match="--rebuild"):
        pipeline.run(settings)
    assert verify(settings.output) != ()
    assert pipeline.run(settings, rebuild=True).counts.generated == 0
    assert edition(settings) == first
    assert verify(settings.output) == ()


def test_a_worker_that_attaches_writes_what_the_driver_would(memory_path: Path) -> None:
    """Scores included, notes included."""
    whole = settings_of(memory_path / "whole")
    pipeline.run(whole)
    settings = settings_of(memory_path / "parts")
    with open_run(settings) as run:
        worker = Run.attach(run.folder)
        run.publish([worker.write_bucket(bucket) for bucket in worker.buckets])
    assert rows_of(settings.output) == rows_of(whole.output)
    names = [sorted(p.name for p in (s.output / "_notes").iterdir()) for s in (whole, settings)]
    assert names[0] == names[1] != []


def test_a_second_night_embeds_only_new_texts(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And writes what it would have written without notes."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    embedded: list[str] = []
    encode = ScriptedEmbedder.encode

    def counted(self: ScriptedEmbedder, texts: Sequence[str]) -> Any:
        embedded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(ScriptedEmbedder, "encode", counted)
    new = "a camera in the cold harbour, again"
    grown = replace(PEOPLE[0], texts=(*PEOPLE[0].texts, new))
    settings_of(memory_path, [grown, *PEOPLE[1:]])
    pipeline.run(settings)
    written = {row["text"] for row in read_table(settings.output, "candidates").to_pylist()}
    assert new in embedded
    assert set(embedded) - written == {new}


@pytest.mark.parametrize("damage", [b"", b"PAR1", None])
def test_notes_change_no_row(memory_path: Path, damage: bytes | None) -> None:
    """With them, without them, and with damaged ones: the same texts and scores."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    if damage is not None:
        for path in (settings.output / "_notes").iterdir():
            path.write_bytes(damage)
    pipeline.run(settings.model_copy(update={"seed": 1}))
    store = settings.store.model_copy(update={"notes_mb": 0})
    update = {"seed": 1, "store": store, "output": memory_path / "without"}
    pipeline.run(settings.model_copy(update=update))

    assert rows_of(settings.output) == rows_of(memory_path / "without")
    assert not (memory_path / "without" / "_notes").exists()


def test_a_notebook_uses_the_pool_of_the_output(memory_path: Path) -> None:
    """With it scores have a scale; without one they abstain."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    row = next(
        row for row in read_table(settings.output).to_pylist() if row["style_score"] is not None
    )
    given = {"config": str(memory_path / "empty.toml"), **_overrides(settings)}

    alone = personalm.generate_for(row["user_id"], **given)
    without = personalm.generate_for(
        row["user_id"], **{**given, "output": str(memory_path / "elsewhere")}
    )

    assert (alone.text, alone.style_score) == (row["text"], row["style_score"])
    assert alone.own_mark == row["own_mark"]
    assert (without.style_score, without.own_mark) == (None, None)
    assert without.text is not None
    assert without.style_cosine is not None


def _overrides(settings: Settings) -> dict[str, Any]:
    return {
        "model": settings.model,
        "output": str(settings.output),
        "templates_dir": str(settings.templates_dir),
        "selection.embedder": "scripted",
        "generation.languages": ["en"],
        "inputs.interactions": list(settings.inputs.interactions),
        "inputs.profiles": list(settings.inputs.profiles),
    }
