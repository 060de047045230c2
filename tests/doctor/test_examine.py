"""Laws of the doctor: it says what a run would say, all of it, and before any model is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.doctor.examine import examine
from personalm.errors import PersonalmError
from personalm.forecasting import forecast
from personalm.progress import SilentProgress
from personalm.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from personalm.doctor.diagnosis import Census, Diagnosis

ROOT = Path(__file__).parents[2]
LETTER = "The kettle of Canary Wharf whistles in the key of B flat again."

TABLES: dict[str, dict[str, Any]] = {
    "profiles": {
        "user_id": ["ada", "ben", "cy", "canary"],
        "name": ["Ada", "Ben", "Cy", None],
        "language": ["en", None, "fr", None],
        "opt_out": [False, False, False, True],
    },
    "interactions": {
        "user_id": ["ada"] * 6 + ["ben", "dora", "brand", None],
        "text": [LETTER] * 6 + ["Hm.", "My lamp is broken.", "We are sorry.", "nobody's"],
        "thread_id": [None] * 6 + ["t", "t", "t", None],
    },
    "items": {"item_id": [1, 2], "title": ["Red Kite", None]},
    "requests": {
        "user_id": ["ada", "ada", "ben", "ben", "dora", "eve", "canary", "cy"],
        "kind": ["post", "blurb", "blurb", "reply", "reply", "post", "post", "note"],
        "subject_id": ["s1", "1", "99", "s2", "s3", "s4", "s5", "s6"],
        "subject": ["tea", None, None, "Hm.", "My lamp is broken.", "rain", "tea", "A passage."],
        "instructions": [None, None, None, "say hello", "say sorry", None, None, None],
        "thread_id": [None, None, None, "gone", "t", None, None, None],
        "voice_id": [None, None, None, "nobody", "brand", None, None, None],
    },
}

CONFIG = """\
model = "scripted"
output = "out"
[inputs]
profiles = "profiles"
interactions = "interactions"
items = "items"
requests = "requests"
[selection]
embedder = "scripted"
[generation]
languages = ["en"]
"""

Damage = tuple[str, str]
"""What is broken, and a word of the problem that comes of it."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write four tables and settings that name them."""
    for table, columns in TABLES.items():
        write(tmp_path, table, columns)
    path = tmp_path / "personalm.toml"
    path.write_text(CONFIG)
    return path


def write(folder: Path, table: str, columns: dict[str, Any], name: str = "a") -> None:
    """Write a file of a table."""
    (folder / table).mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / table / f"{name}.parquet")


def diagnose(config: Path, **overrides: object) -> Diagnosis:
    """Examine, and check that nothing is written beside the inputs."""
    diagnosis = examine(config, progress=SilentProgress(), **overrides)
    assert not (config.parent / "out").exists()
    return diagnosis


def census_of(config: Path) -> Census:
    """Return the counts of tables that can be read."""
    census = diagnose(config).census
    assert census is not None
    return census


def test_users_are_counted(config: Path) -> None:
    """Of every table, those that requests alone name included."""
    census = census_of(config)

    assert (census.num_users, census.num_texts) == (7, 9)
    assert (census.num_opted_out, census.num_without_profile) == (1, 3)
    assert census.num_without_history == 3
    assert dict(census.tiers) == {"0": 3, "1-4": 3, "5-19": 1}
    assert dict(census.languages) == {"en": 6, "fr": 1}


def test_kinds_without_a_template_are_counted_and_not_told(config: Path) -> None:
    """What stands in the column may be what somebody wrote: neither page nor JSON shows it."""
    secrets = ["my mother is ill", "call me at night", "my mother is ill"]
    requests = {"user_id": ["ada", "dora", "canary"], "kind": secrets, "subject": ["x", "y", "z"]}
    write(config.parent, "requests", requests, name="b")
    diagnosis = diagnose(config)
    census = diagnosis.census

    assert census is not None
    assert dict(census.kinds) == {"post": 3, "blurb": 2, "reply": 2, "note": 1}
    assert census.num_for_unknown_kinds == 3
    assert census.num_requests == census.kinds.total() + 3
    assert "mother" not in json.dumps(diagnosis.to_json())


def test_requests_are_counted_by_what_becomes_of_them(config: Path) -> None:
    """What is asked about unknown users, items, threads and voices is told apart."""
    census = census_of(config)

    assert (census.num_requests, census.num_to_write) == (8, 4)
    assert census.num_refused_by_opt_out == 1
    assert dict(census.rejections) == {
        "unknown_item": 1,
        "unknown_voice": 1,
        "language_not_supported": 1,
    }
    assert dict(census.kinds) == {"post": 3, "blurb": 2, "reply": 2, "note": 1}
    unknown = (
        census.num_for_unknown_users,
        census.num_for_unknown_items,
        census.num_for_unknown_threads,
        census.num_for_unknown_voices,
    )
    assert unknown == (1, 1, 1, 1)


def test_the_doctor_counts_as_a_run_does(config: Path) -> None:
    """Requests, texts to write, rejections of planning and opt-outs are those of a run."""
    census = census_of(config)
    counts = forecast(load_settings(config)).counts

    assert (
        counts.requests,
        counts.generated,
        counts.rejections,
        counts.opted_out,
    ) == (
        census.num_requests,
        census.num_to_write,
        census.rejections.total(),
        census.num_refused_by_opt_out,
    )


def test_findings_of_all_tables_are_told(config: Path) -> None:
    """Items are read apart from the rest, and are no less worth telling of."""
    diagnosis = diagnose(config)

    told = {(f.subject, f.effect.value): f.count for f in diagnosis.report.findings}
    assert told["interactions.user_id", "dropped"] == 1
    assert told["items.title", "dropped"] == 1
    assert told["items.item_id", "cast"] == 2
    assert dict(diagnosis.report.num_rows) == {
        "profiles": 4,
        "interactions": 10,
        "items": 2,
        "requests": 8,
    }


def _truncate(folder: Path) -> None:
    path = folder / "interactions" / "a.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def _double(folder: Path) -> None:
    requests = TABLES["requests"]
    write(folder, "requests", {name: [*values, values[0]] for name, values in requests.items()})


def _set(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "personalm.toml"
        path.write_text(f"{text}\n{path.read_text()}".replace('model = "scripted"\n' * 2, ""))

    return change


def _replace(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "personalm.toml"
        path.write_text(path.read_text().replace(old, new))

    return change


def _template(source: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "mine").mkdir()
        (folder / "mine" / "poem.j2").write_text(source)
        _set('templates_dir = "mine"')(folder)

    return change


FRONT = '+++\nsubject = "given"\nmax_new_tokens = 9\ngates = [{gates}]\n+++\n{body}'

DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (_truncate, "no whole Parquet file"),
    "float-ids": (lambda f: write(f, "profiles", {"user_id": [1.0]}), "floats"),
    "no-column": (lambda f: write(f, "items", {"id": [1]}), "need a column"),
    "twice": (_double, "asked for twice"),
    "item-twice": (
        lambda f: write(f, "items", {"item_id": [1, 1], "title": ["a", "b"]}),
        "the same item_id is there twice",
    ),
    "no-kind": (lambda f: write(f, "requests", {"user_id": ["a"], "kind": [None]}), "text|kind"),
    "no-files": (_replace('"items"', '"itens"'), "no Parquet files"),
    "no-template": (_set('kinds = ["ode"]'), "no template for 'ode'"),
    "broken-template": (_template(FRONT.format(gates="", body="{{ oops")), "line 1"),
    "unknown-name": (_template(FRONT.format(gates="", body="{{ oops }}")), "unknown name"),
    "unknown-gate": (_template(FRONT.format(gates='"ode"', body="{{ subject }}")), "ode"),
    "no-templates": (_set('templates_dir = "nowhere"'), "does not exist"),
    "no-model": (_replace('model = "scripted"', 'model = "./nowhere"'), "nowhere"),
    "no-embedder": (_replace('embedder = "scripted"', 'embedder = "/nowhere"'), "nowhere"),
    "unknown-setting": (_set("temperatur = 1"), "temperatur"),
    "mapping": (
        _replace("[selection]", '[inputs.columns.items]\ntitle = "titel"\n[selection]'),
        "no file of items has it",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_doctor_refuses_what_a_run_refuses(config: Path, name: str) -> None:
    """And says the run's own words about it."""
    damage, words = DAMAGES[name]
    assert diagnose(config).would_run
    damage(config.parent)

    problems = diagnose(config).problems

    assert len(problems) == 1
    with pytest.raises(PersonalmError) as caught:
        pipeline.run(load_settings(config))
    assert problems[0].message == caught.value.message
    assert problems[0].remedy == caught.value.remedy
    assert any(word in f"{problems[0].message} {problems[0].column}" for word in words.split("|"))


def test_all_that_is_wrong_is_told_at_once(config: Path) -> None:
    """A run stops at the first; whoever mends things wants the list, and what is sound beside."""
    folder = config.parent
    write(folder, "profiles", {"user_id": [1.0]}, name="b")
    write(folder, "profiles", {"user_id": ["z"], "name": [5]}, name="c")
    write(folder, "profiles", {"user_id": [2.5]}, name="d")
    (folder / "profiles" / "e.parquet").write_bytes(b"PAR1")
    write(folder, "interactions", {"user_id": ["z"]}, name="b")
    write(folder, "requests", {"user_id": ["a"], "kind": pa.array([None], pa.string())}, name="b")
    _truncate(folder)
    _replace('model = "scripted"', 'model = "./nowhere"')(folder)

    diagnosis = diagnose(config)

    found = {(Path(p.file).parent.name, Path(p.file).name) for p in diagnosis.problems if p.file}
    assert found == {
        ("profiles", "b.parquet"),
        ("profiles", "c.parquet"),
        ("profiles", "d.parquet"),
        ("profiles", "e.parquet"),
        ("interactions", "a.parquet"),
        ("interactions", "b.parquet"),
        ("requests", "b.parquet"),
    }
    assert "ModelError" in {problem.error for problem in diagnosis.problems}
    assert len(diagnosis.problems) == 8
    assert diagnosis.census is None
    assert dict(diagnosis.report.num_rows)["items"] == 2


@pytest.mark.parametrize("name", ["model", "embedder"])
def test_a_missing_model_hides_nothing_of_the_data(config: Path, name: str) -> None:
    """Requests are planned all the same; only the languages of the model are unknown."""
    _replace(f'{name} = "scripted"', f'{name} = "./nowhere"')(config.parent)

    diagnosis = diagnose(config)

    assert not diagnosis.would_run
    assert diagnosis.census is not None
    assert diagnosis.census.is_planned
    assert diagnosis.census.num_requests == 8


def test_a_diagnosis_names_nobody_and_quotes_nothing(config: Path) -> None:
    """It goes into tickets and logs."""
    _double(config.parent)
    write(config.parent, "profiles", {"user_id": ["canary"], "opt_out": [7]}, name="b")

    told = json.dumps(diagnose(config).to_json()).replace(str(config.parent), "")

    for secret in ("canary", "Canary", "dora", "kettle", "lamp", "sorry"):
        assert secret not in told


def test_no_model_library_is_loaded(tiny_gpt2: Path, config: Path) -> None:
    """A real model's folder is looked at, and the model is left alone."""
    code = (
        "import sys\n"
        "from personalm.cli import app\n"
        f"code = app(['doctor', '--config', {str(config)!r}, '--model', {str(tiny_gpt2)!r}],"
        " exit_on_error=False)\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "a run would work" in done.stdout


def test_the_sample_data_are_sound() -> None:
    """The shipped example needs no doctor."""
    diagnosis = examine(
        ROOT / "personalm.toml",
        progress=SilentProgress(),
        model="scripted",
        **{"selection.embedder": "scripted"},
    )

    assert diagnosis.would_run
    assert diagnosis.census is not None
    assert diagnosis.census.num_requests == diagnosis.census.kinds.total() > 0
