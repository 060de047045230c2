"""A whole run over tables made by an enemy: names stay values, and rows come back."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.errors import InputError, PersonalmError, TemplateError
from personalm.kinds import load_kinds
from personalm.report.page import write_report
from personalm.settings import Settings, load_settings
from personalm.store.export import export
from personalm.store.reading import read_table
from personalm.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

IDS = (
    "../x",
    "../../../../../../tmp/x",
    "/etc/passwd",
    "/",
    "~",
    "~root",
    ".",
    "..",
    "...",
    "a\x00b",
    "\x00",
    "x" * 300,
    "é" * 300,
    "CON",
    "nul.parquet",
    "COM1",
    "A",
    "a",
    "\u00e9",
    "e\u0301",
    "one\ntwo",
    "tab\there",
    "\r",
    "_lock",
    "_personalm.json",
    "latest",
    ".tmp-1",
    "00000001.json",
    "-rf",
    "*",
    "?.parquet",
    "%2e%2e%2f",
    "..%2f",
    "..\\x",
    "C:\\x",
    "\\\\host\\share",
    "file:///etc/passwd",
    "s3://bucket/x",
    "${HOME}",
    "$(id)",
    "`id`",
    "{0.__class__}",
    "{{ 7 * 7 }}",
    "' or 1=1 --",
    "=1+1",
    "\x1b[31m",
    "user\u202e",
    "<script>",
    "a=b",
    "column=../x",
    "__HIVE_DEFAULT_PARTITION__",
    "None",
    "nan",
    "007",
    "1e5",
)
# White space alone is no id.
KEPT = tuple(id_ for id_ in IDS if id_.strip())
# A kind is a text, and texts lose their NUL characters; nothing is no kind.
KINDS = [id_.replace("\x00", "") or "nul" for id_ in KEPT]


def tree(folder: Path, *, but: Path) -> dict[str, tuple[int, int, bytes | str]]:
    """Return all that lies in a folder outside of another one: kinds, modes, contents."""
    found: dict[str, tuple[int, int, bytes | str]] = {}
    for path in [folder, *folder.rglob("*")]:
        if path == but or but in path.parents:
            continue
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else ""
        # A new output changes the time of the folder that it lies in, nothing else may.
        time = 0 if path == but.parent else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (status.st_mode, time, content)
    return found


def write(folder: Path, table: str, /, **columns: Iterable[object]) -> str:
    """Write a table, and return where."""
    path = folder / f"{table}.parquet"
    pq.write_table(pa.table({column: list(values) for column, values in columns.items()}), path)
    return str(path)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with things that could be hit, and work in it."""
    for place in ("x", "tmp/x", "work/x", "work/deep/x"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work" / "deep"


def settings_of(world: Path, **inputs: str) -> Settings:
    """Return settings with the fakes for models."""
    return load_settings(
        None,
        model="scripted",
        output=world / "out",
        inputs=inputs,
        **{
            "selection.embedder": "scripted",
            "generation.languages": ["en"],
            "generation.candidates": 2,
            "generation.max_draws": 1,
            "store.buckets": 2,
        },
    )


def requested(world: Path) -> Settings:
    """Write tables in which every id, of whatever, is hostile."""
    return settings_of(
        world,
        profiles=write(world, "profiles", user_id=IDS, name=IDS, bio=IDS),
        interactions=write(
            world,
            "interactions",
            user_id=IDS,
            text=[f"I went to the market on day {n} and bought plums." for n in range(len(IDS))],
            kind=IDS,
            item_id=IDS,
            text_id=IDS,
            thread_id=IDS,
        ),
        items=write(world, "items", item_id=KEPT, title=KEPT, description=KEPT),
        requests=write(
            world,
            "requests",
            user_id=KEPT * 2,
            kind=["post"] * len(KEPT) + KINDS,
            subject_id=KEPT * 2,
            subject=["plums at the market"] * len(KEPT) * 2,
            voice_id=KEPT * 2,
            thread_id=KEPT * 2,
            request_id=KEPT * 2,
        ),
    )


def derived(world: Path) -> Settings:
    """Write tables without requests: they are derived, one for each user."""
    texts = [f"I bought {n} plums at the market, and they were good." for n in range(len(IDS))]
    return settings_of(
        world, interactions=write(world, "interactions", user_id=IDS, text=texts, item_id=IDS)
    )


_NAMES = re.compile(
    r"_personalm\.json|_lock|_last_run\.json|latest|_data|_runs|_snapshots|_views|results|candidates"
    r"|_artefacts|_notes|(impostors|leaks)(\.json|-[0-9a-f]{64})"
    r"|rejections|empty\.parquet|\d{8}(\.json)?|\d{4}-[0-9a-f]{16}\.parquet"
)


@pytest.mark.parametrize("make", [requested, derived], ids=lambda make: make.__name__)
def test_hostile_ids_name_no_file_and_come_back(
    make: Callable[[Path], Settings], world: Path
) -> None:
    """Nothing outside of the output changes; its files are named by numbers and hashes alone."""
    settings = make(world)
    root = world.parent.parent
    before = tree(root, but=settings.output)

    counts = pipeline.run(settings).counts
    again = pipeline.run(settings).counts

    assert counts.is_balanced
    assert again.generated == 0
    found = {
        str(row[name])
        for table in ("results", "rejections")
        for row in read_table(settings.output, table).to_pylist()
        for name in (("user_id", "kind", "subject_id") if make is requested else ("user_id",))
    }
    assert set(KEPT) <= found
    assert counts.requests == (2 * len(KEPT) if make is requested else len(KEPT))
    assert verify(settings.output) == ()
    assert tree(root, but=settings.output) == before
    odd = [p for p in settings.output.rglob("*") if not _NAMES.fullmatch(p.name)]
    assert [str(p.relative_to(settings.output)) for p in odd] == []
    assert {
        os.path.realpath(p).startswith(str(settings.output)) for p in settings.output.rglob("*")
    } == {True}

    export(settings.output, world / "out" / "texts.csv")
    write_report(settings.output, world / "out" / "report.html")
    assert tree(root, but=settings.output) == before


@pytest.mark.parametrize("table", ["items", "requests"])
def test_the_same_id_in_two_forms_of_unicode_is_two(world: Path, table: str) -> None:
    """And of one form it is one, which is refused without being named."""
    ids = ["\u00e9", "e\u0301", "A", "a", "é"]
    inputs = {
        "interactions": write(world, "interactions", user_id=["u"], text=["I went to market."]),
        "items": write(
            world,
            "items",
            item_id=ids if table == "items" else ids[:4],
            title=["t"] * 5 if table == "items" else ["t"] * 4,
        ),
    }
    if table == "requests":
        inputs["requests"] = write(
            world, "requests", user_id=ids, kind=["post"] * 5, subject=["plums"] * 5
        )

    with pytest.raises(InputError, match="twice") as caught:
        pipeline.run(settings_of(world, **inputs))
    assert "é" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["..", "../x", "CON", "A", "é", "a b", "a\nb", "x" * 250, "_x", "1", "-x", "{{x}}", ""]
)
def test_a_template_has_a_plain_name(tmp_path: Path, name: str) -> None:
    """A kind becomes no path, and a file of another name is refused."""
    folder = tmp_path / "templates"
    folder.mkdir()
    text = '+++\nsubject = "topic"\nmax_new_tokens = 8\ngates = []\n+++\nPost:'
    (folder / f"{name.replace('/', '_')}.j2").write_text(text)
    with pytest.raises(TemplateError, match="is no name of a kind"):
        load_kinds(folder)


@pytest.mark.parametrize("kind", ["../x", "/etc/passwd", "..", "", "post\n"])
def test_an_unknown_kind_of_the_settings_is_refused(world: Path, kind: str) -> None:
    """It is looked up among the loaded ones, never on the disk."""
    settings = derived(world).model_copy(update={"kinds": (kind,)})
    before = tree(world.parent.parent, but=settings.output)

    with pytest.raises(PersonalmError):
        pipeline.run(settings)
    assert tree(world.parent.parent, but=settings.output) == before


_ATTACKS = (
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{{ 'a' * 2000000000 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ raise_exception('no') }}{{",
)


@pytest.mark.timeout(120)
def test_a_run_never_looks_at_the_chat_template_of_its_model(world: Path, tiny_gpt2: Path) -> None:
    """Nothing of it is executed, in any of the places where a model may carry one."""
    model = shutil.copytree(tiny_gpt2, world / "model")
    attack = "".join(_ATTACKS).replace("CANARY", str(world / "canary"))
    (model / "chat_template.jinja").write_text(attack)
    (model / "additional_chat_templates").mkdir()
    (model / "additional_chat_templates" / "tool.jinja").write_text(attack)
    config = json.loads((model / "tokenizer_config.json").read_text())
    named = [{"name": name, "template": attack} for name in ("default", "tool_use")]
    (model / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": named}))
    templates = world / "templates"
    templates.mkdir()
    (templates / "line.j2").write_text(
        '+++\nsubject = "topic"\nmax_new_tokens = 8\ncandidates = 2\ngates = []\n+++\n'
        "{% for text in samples %}{{ text }}\n{% endfor %}{{ subject }}:"
    )
    texts = [attack, "I bought plums at the market.", attack, "The plums were very good today."]
    settings = settings_of(
        world,
        interactions=write(world, "interactions", user_id=["a", "a", "b", "b"], text=texts),
        requests=write(
            world, "requests", user_id=["a", "b"], kind=["line"] * 2, subject=["plums"] * 2
        ),
    ).model_copy(update={"model": str(model), "templates_dir": templates})

    counts = pipeline.run(settings).counts

    assert (counts.results, counts.rejections) == (2, 0)
    assert not (world / "canary").exists()
