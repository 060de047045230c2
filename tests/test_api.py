"""Laws of the notebook's door."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import personalm
from personalm import api, loaded, pipeline
from personalm.api import find_user_inputs
from personalm.errors import InputError, SettingsError
from personalm.records import Interaction, Profile, Request, Task
from personalm.settings import load_settings
from personalm.stamps import stamps_of
from personalm.store.reading import read_table
from tests.population import POST, Person, make_settings, write_templates

ROOT = Path(__file__).parent.parent
TEXTS = ("I swept the yard before breakfast.", "The kettle is on, come in.", "Rain again.")


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the sample data and the shipped fakes."""
    monkeypatch.setenv("PERSONALM_CONFIG", str(ROOT / "personalm.toml"))
    monkeypatch.setenv("PERSONALM_MODEL", "scripted")
    monkeypatch.setenv("PERSONALM_SELECTION__EMBEDDER", "scripted")
    monkeypatch.setenv("PERSONALM_GENERATION__LANGUAGES", '["en"]')


def test_the_public_names_are_those_of_the_package() -> None:
    """What is offered exists, and is sorted."""
    assert sorted(personalm.__all__) == dir(personalm)
    assert [name for name in personalm.__all__ if not hasattr(personalm, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'generate'"):
        personalm.generate  # noqa: B018 - the access is what is tested


def test_a_notebook_and_a_batch_agree(tmp_path: Path) -> None:
    """For every request of the sample data both doors of an output give the same text."""
    settings = load_settings(output=tmp_path / "out")
    pipeline.run(settings)
    rows = read_table(settings.output).to_pylist()

    for row in rows:
        user, kind = row["user_id"], row["kind"]
        named = {} if kind == "post" else {"subject_id": row["subject_id"]}
        generation = personalm.generate_for(user, kind, output=settings.output, **named)
        assert generation.text == row["text"]
        assert generation.provenance["fingerprint"] == row["fingerprint"]
    assert {row["kind"] for row in rows} == {"post", "note", "blurb", "reply"}


def test_a_request_of_the_table_is_meant_where_its_key_is_named(tmp_path: Path) -> None:
    """With its own subject and instructions, but for what the caller says of them."""
    asks = (
        {"kind": "post", "subject_id": "p1", "subject": "rainy days"},
        {"kind": "post", "subject_id": "p2", "subject": "sunny days", "instructions": "be brief"},
    )
    settings = make_settings(tmp_path, [Person(user_id="a", asks=asks)], has_requests=True)
    pipeline.run(settings)
    texts = {row["subject_id"]: row["text"] for row in read_table(settings.output).to_pylist()}

    def plan(**named: Any) -> Request:
        wish = api._Wish(**{**dict.fromkeys(("subject", "subject_id", "instructions")), **named})
        found = api._plan(api.open_assembly(settings), find_user_inputs("a", settings), wish)
        assert isinstance(found, Task)
        return found.request

    second = plan(kind="post", subject_id="p2")
    assert (second.subject, second.instructions) == ("sunny days", "be brief")
    assert plan(kind="post", subject_id="p2", instructions="be long").instructions == "be long"
    assert plan(kind="post", subject_id="p3", subject="snow").subject == "snow"
    assert plan(kind="post").subject == "rainy days"
    given: dict[str, Any] = settings.model_dump(exclude_unset=True)
    for name in ("p1", "p2"):
        generation = personalm.generate_for(
            "a", subject_id=name, config=tmp_path / "empty.toml", **given
        )
        assert generation.text == texts[name]


def test_what_is_edited_between_two_calls_is_read_again(tmp_path: Path) -> None:
    """Templates, items and models, as a batch would; what nobody touched is not."""
    model = shutil.copytree(ROOT / "sample_data" / "adapter", tmp_path / "model")
    items = tmp_path / "items.parquet"
    write_items(items, "The Kettle Book")
    place: dict[str, Any] = {"inputs.items": str(items)}
    settings = make_settings(tmp_path, [Person(user_id="a")], **place)
    first = api.open_assembly(settings)
    assert api.open_assembly(settings) is first

    write_items(items, "A Kettle Book, in its second edition")
    second = api.open_assembly(settings)
    write_templates(tmp_path / "templates", post="+++\n" + POST.split("+++\n", 1)[1] + " now")
    third = api.open_assembly(settings)

    assert [item.title for item in second.catalogue.items] == [
        "A Kettle Book, in its second edition"
    ]
    assert third.kinds["post"].digest != second.kinds["post"].digest
    assert api.open_assembly(settings) is third
    before = stamps_of(settings.model_copy(update={"model": str(model)}))
    os.utime(model / "adapter_model.safetensors", ns=(1, 1))
    assert stamps_of(settings.model_copy(update={"model": str(model)})) != before


def write_items(path: Path, title: str) -> None:
    """Write a table of one item."""
    pq.write_table(pa.table({"item_id": ["i"], "title": [title]}), path)


def test_a_user_may_be_an_id_a_mapping_or_a_profile() -> None:
    """The same texts give the same generation, however they are handed over."""
    mapping = {"user_id": "x", "texts": list(TEXTS), "language": "en"}
    profile = Profile(
        user_id="x",
        language="en",
        interactions=tuple(Interaction(text=text) for text in TEXTS),
    )

    one = personalm.generate_for(mapping, subject="the yard")
    two = personalm.generate_for(profile, subject="the yard")

    assert one == two
    assert one.prompt is not None
    assert TEXTS[0] in one.prompt


def test_a_blank_subject_is_none() -> None:
    """As in a table of requests."""
    mapping = {"user_id": "x", "texts": list(TEXTS), "language": "en"}

    assert personalm.generate_for(mapping, subject=" ") == personalm.generate_for(mapping)


def test_a_user_who_is_handed_over_is_read_as_one_of_the_tables(tmp_path: Path) -> None:
    """No longer texts, no NUL and no half characters: one of them would cost minutes, or all."""
    long = ("word " * 200_000).strip()
    texts = (long, "x\x00y of tea", "half \ud83d of it", "\ud83d\ude00 whole", "short")
    mapping = {"user_id": "u", "name": "A\x00da \ud800", "texts": texts, "traits": ["t\ud800"]}
    profile = Profile(
        user_id="u",
        name="A\x00da \ud800",
        traits=("t\ud800",),
        interactions=tuple(Interaction(text=text) for text in texts),
    )
    short: dict[str, Any] = {"inputs.max_text_chars": 300}
    whole = load_settings(**short)
    settings = load_settings(**{**short, "inputs.max_user_interactions": 4})
    people = [Person(user_id="u", texts=(long, "x\x00y of tea"))]
    tables = make_settings(tmp_path, people, **short)

    (cut, mended) = find_user_inputs("u", tables).profile.texts
    for user in (mapping, profile):
        read = find_user_inputs(user, whole).profile
        assert read.texts == (cut, mended, "half \ufffd of it", "😀 whole", "short")
        assert (read.name, read.traits) == ("Ada \ufffd", ("t\ufffd",))
        assert find_user_inputs(user, settings).profile.texts == read.texts[1:]
    subject = "a yard \ud800" + "\x00"
    generation = personalm.generate_for(mapping, subject=subject, instructions="be kind \ud800")
    assert generation.prompt is not None
    assert "a yard \ufffd\n" in generation.prompt


def test_seed_and_number_of_candidates_are_arguments() -> None:
    """Another seed gives other candidates; the first ones do not depend on their number."""
    user = {"user_id": "x", "texts": list(TEXTS), "language": "en"}
    few = personalm.generate_for(user, subject="the yard", n=2)
    many = personalm.generate_for(user, subject="the yard", n=5)
    other = personalm.generate_for(user, subject="the yard", n=2, seed=7)

    assert [c.text for c in many.candidates[:2]] == [c.text for c in few.candidates[:2]]
    assert [c.text for c in other.candidates] != [c.text for c in few.candidates]


def test_many_users_come_back_in_the_order_in_which_they_were_asked_for() -> None:
    """One generation each, rejected ones in their place."""
    users = ["u-hale", "u-wen", "007"]

    generations = personalm.generate_many(users, "post")

    assert [g.provenance["user_id"] for g in generations] == users
    assert generations[1].text is None
    assert "language_not_supported" in str(generations[1])
    assert list(generations.to_pandas()["user_id"]) == users


def test_a_user_who_opted_out_gets_nothing() -> None:
    """The notebook keeps what the batch promises."""
    generation = personalm.generate_for("u-gregor", "post")

    assert generation.text is None
    assert generation.reason is not None
    assert generation.reason.startswith("opted_out")


def test_html_shows_hostile_text_as_text() -> None:
    """What a user wrote is never markup."""
    user = {"user_id": "<b>x</b>", "texts": list(TEXTS), "language": "en"}
    generation = personalm.generate_for(user, subject="<script>alert(1)</script> yard")

    assert "<script" not in generation._repr_html_()


def test_it_works_where_an_event_loop_is_running() -> None:
    """Notebooks have one."""

    async def cell() -> str:
        return str(personalm.generate_for("u-hale", "post"))

    assert asyncio.run(cell()) == str(personalm.generate_for("u-hale", "post"))


@pytest.mark.parametrize(
    ("user", "kind", "error", "message"),
    [
        ("nobody", "post", InputError, "no input table holds this user"),
        ("u-hale", "ode", SettingsError, "unknown kind 'ode'"),
        ({"texts": []}, "post", InputError, "'user_id' is missing"),
        ({"user_id": "x", "text": "y"}, "post", InputError, "unknown 'text'"),
        (1.5, "post", InputError, "float"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    user: object, kind: str, error: type[Exception], message: str
) -> None:
    """Names are checked, none is ignored."""
    with pytest.raises(error, match=message):
        personalm.generate_for(user, kind)


def test_candidates_are_a_table_on_request() -> None:
    """One row a candidate."""
    generation = personalm.generate_for("u-hale", "post", n=3)

    table = generation.to_pandas()
    assert len(table) == len(generation.candidates)
    assert list(table.columns[:2]) == ["number", "text"]


def test_a_user_who_is_named_twice_gets_two_generations() -> None:
    """A column of ids may have repeats, and whoever hands it over wants as many rows."""
    user = {"user_id": "x", "texts": list(TEXTS), "language": "en"}

    ada, bob, again = personalm.generate_many(
        [user, {**user, "user_id": "y"}, user], subject="the yard"
    )

    assert ada == again
    assert ada.text
    assert bob.provenance["user_id"] == "y"


@pytest.mark.parametrize("name", ["subject", "instructions"])
def test_what_is_no_text_is_refused_in_words(name: str) -> None:
    """And what pandas has for nothing is nothing."""
    user = {"user_id": "x", "texts": list(TEXTS), "language": "en"}
    wrong: dict[str, Any] = {"subject": "the yard", name: 5}
    missing: dict[str, Any] = {"subject": "the yard", name: float("nan")}

    with pytest.raises(InputError, match=f"{name} is of type int, not text"):
        personalm.generate_for(user, **wrong)
    assert personalm.generate_for(user, **missing).prompt


def test_a_model_is_loaded_once_however_it_is_asked() -> None:
    """How texts are drawn says nothing about how a model is loaded; `unload` lets it go."""
    user = {"user_id": "x", "texts": list(TEXTS), "language": "en"}
    warmer: dict[str, Any] = {"generation.temperature": 0.5}
    personalm.unload()

    for n in (1, 2, 3):
        personalm.generate_for(user, subject="the yard", n=n)
    personalm.generate_for(user, subject="the yard", **warmer)
    assert loaded.load_voice.cache_info().misses == 1

    personalm.unload()
    caches = (loaded.load_voice, loaded.load_embedder, api._assemble_json)
    assert [cache.cache_info().currsize for cache in caches] == [0, 0, 0]
