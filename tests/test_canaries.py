"""Laws of silence: what people wrote is in the results and nowhere else, whatever goes wrong.

Each text field and each id of the inputs holds a word that occurs nowhere else. Then everything
that a run leaves beside its results is searched for it: what it prints and logs at every level,
names of files, its own records, errors with all their causes.
"""

from __future__ import annotations

import logging
import shutil
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.api import generate_for
from personalm.cli import app
from personalm.errors import PersonalmError
from personalm.pipeline import Run, open_run
from personalm.shell import run_command
from personalm.store.forgetting import forget
from personalm.store.reading import read_table
from personalm.store.store import Store
from tests.population import Person, make_settings, write_templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from personalm.settings import Settings

ROOT = Path(__file__).parents[1]
CANARY = "kestrel"
SECRET = "hf_kestrelsecret"  # noqa: S105 - it is to be found where it should not be
USER = f"{CANARY}-id"


@dataclass(frozen=True, kw_only=True)
class World:
    """A population of canaries, and the means to break its runs."""

    folder: Path
    settings: Settings
    patch: pytest.MonkeyPatch

    def table(self, name: str) -> Path:
        """Return an input file."""
        return self.folder / "in" / f"{name}.parquet"

    def rewrite(self, name: str, **columns: object) -> None:
        """Give every row of a table other values."""
        table = pq.read_table(self.table(name))
        for column, value in columns.items():
            values = value if isinstance(value, pa.Array) else pa.array([value] * len(table))
            if column in table.column_names:
                table = table.drop_columns([column])
            table = table.append_column(column, values)
        pq.write_table(table, self.table(name))

    def call(self, *arguments: str) -> int:
        """Run the command line in this process."""
        config = self.folder / "config.toml"
        inputs = self.settings.inputs
        config.write_text(
            f'model = "scripted"\ntemplates_dir = "{self.folder}/templates"\n'
            f'output = "{self.settings.output}"\n[selection]\nembedder = "scripted"\n[inputs]\n'
            + "".join(
                f"{name} = {list(getattr(inputs, name))}\n"
                for name in ("profiles", "interactions", "requests")
            ),
            encoding="utf-8",
        )
        self.patch.setenv("PERSONALM_CONFIG", str(config))
        return run_command(app, list(arguments))


@pytest.fixture
def world(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world in which every text and every id is a canary."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    kinds = ("post", "note", "strict", "ode")
    asks = tuple(
        {"kind": kind, "subject": f"{CANARY} subject", "instructions": f"{CANARY} wish"}
        for kind in kinds
    )
    texts = tuple(f"my {CANARY} {word} is on" for word in ("kettle", "garden", "train"))
    people = [
        Person(user_id=USER, name=f"{CANARY} name", texts=texts, asks=asks),
        Person(user_id=f"{CANARY}-other", texts=texts, age=0, asks=asks[:1]),
        Person(user_id=f"{CANARY}-gone", texts=texts, opt_out=True, asks=asks),
        Person(user_id="plain", asks=({"kind": "note", "subject": "winter"},)),
    ]
    settings = make_settings(memory_path, people, has_requests=True)
    made = World(folder=memory_path, settings=settings, patch=monkeypatch)
    ids = {"request_id": "request", "thread_id": "thread", "voice_id": "other"}
    made.rewrite("requests", **{name: f"{CANARY}-{value}" for name, value in ids.items()})
    made.rewrite("interactions", thread_id=f"{CANARY}-thread", text_id=f"{CANARY}-text")
    made.rewrite("profiles", language="en", city=f"{CANARY} city")
    return made


def fail(error: BaseException) -> Callable[..., Any]:
    """Return a function that fails."""

    def failing(*_: object, **__: object) -> Any:
        raise error

    return failing


def break_planning(world: World) -> None:
    """Break the planner on every user, as a row does."""
    world.patch.setattr("personalm.planning.planner.find_subject", fail(ValueError(CANARY)))
    pipeline.run(world.settings)


def break_program(world: World) -> None:
    """Miss a name, with a message that holds what was looked up."""
    world.patch.setattr("personalm.planning.planner.find_subject", fail(NameError(CANARY)))
    world.call("run")
    pipeline.run(world.settings)


def break_journal(world: World) -> None:
    """Hand the journal a text it cannot take."""
    world.patch.setattr("personalm.store.journal.to_unit", fail(pa.ArrowInvalid(CANARY)))
    world.call("run")
    pipeline.run(world.settings)


def break_engine(world: World) -> None:
    """Break the engine in the middle."""
    name = "personalm.generation.scripted.ScriptedEngine.generate"
    world.patch.setattr(name, fail(RuntimeError(CANARY)))
    world.call("run")
    pipeline.run(world.settings)


def break_embedder(world: World) -> None:
    """Break the embedder for everything."""
    name = "personalm.selection.embedder.ScriptedEmbedder.encode"
    world.patch.setattr(name, fail(RuntimeError(CANARY)))
    pipeline.run(world.settings)


def break_gates(world: World) -> None:
    """Break the gates, and the candidates with them."""
    world.patch.setattr("personalm.selection.selector._case", fail(IndexError(CANARY)))
    pipeline.run(world.settings)


def break_accounts(world: World) -> None:
    """Count other outcomes than there are."""
    with open_run(world.settings) as run:
        reports = [run.write_bucket(bucket) for bucket in run.buckets]
        run.publish([replace(r, counts=replace(r.counts, results=99)) for r in reports])


def damage_unit(world: World) -> None:
    """Damage the units of a broken-off run, which are written anew."""
    with open_run(world.settings) as run:
        for bucket in run.buckets:
            run.write_bucket(bucket)
        for path in (run.folder / "units").glob("*.parquet"):
            path.write_bytes(CANARY.encode())
    pipeline.run(world.settings)


def damage_results(world: World) -> None:
    """Damage the files of a snapshot."""
    pipeline.run(world.settings)
    for path in (world.settings.output / "_data").rglob("*.parquet"):
        path.write_bytes(CANARY.encode())
    world.call("run")
    world.call("verify", str(world.settings.output))
    pipeline.run(world.settings)


def run_twice_at_once(world: World) -> None:
    """Begin a second run, which is refused."""
    with open_run(world.settings):
        world.call("run")
        pipeline.run(world.settings)


def attach_a_worker(world: World) -> None:
    """Name users, let a worker read the run's folder, and break the run off."""
    users = world.folder / "ids.txt"
    users.write_text(f"{USER}\n{CANARY}-nobody\n", encoding="utf-8")
    world.call("run", "--users", str(users), "--dry-run")
    world.call("run", "--users", USER, "--retry", "rejected", "--max-requests", "1")
    with open_run(world.settings) as run:
        for bucket in run.buckets:
            Run.attach(run.folder).write_bucket(bucket)
        copy_own_files(world, run.folder)


def copy_own_files(world: World, folder: Path) -> None:
    """Keep what a run under way has in its folder; of data, the names alone."""
    for path in folder.rglob("*"):
        if path.suffix == ".json" and "withdrawn" not in path.parts:
            target = world.folder / "seen" / f"{path.parent.name}-{path.name}"
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
        elif path.is_file():
            (world.folder / "names").mkdir(exist_ok=True)
            (world.folder / "names" / path.name).touch()


def ask_twice(world: World) -> None:
    """Name a result twice in the requests table."""
    table = pq.read_table(world.table("requests"))
    pq.write_table(pa.concat_tables([table, table]), world.table("requests"))
    world.call("run")
    pipeline.run(world.settings)


def mistype(column: str, values: object) -> Callable[[World], None]:
    """Return a scenario in which a column of the interactions is not what it should be."""

    def scenario(world: World) -> None:
        world.rewrite("interactions", **{column: values})
        world.call("run")
        pipeline.run(world.settings)

    return scenario


def cut_a_file(world: World) -> None:
    """Copy a file by half."""
    path = world.table("interactions")
    path.write_bytes(path.read_bytes()[:-40])
    world.call("run")
    pipeline.run(world.settings)


_FRONT = '+++\nsubject = "given"\nmax_new_tokens = 9\ngates = []\n+++\n'


def break_template(world: World) -> None:
    """Fail in a template on what users wrote."""
    ode = f"{{{{ 1 // ('{CANARY}' not in subject) }}}}"
    write_templates(world.folder / "templates", ode=_FRONT + ode)
    pipeline.run(world.settings)
    rows = read_table(world.settings.output, "rejections").to_pylist()
    assert "render_failed" in {row["reason"] for row in rows}
    assert CANARY not in "".join(row["message"] for row in rows)


def misname_in_a_template(world: World) -> None:
    """Name in a template what is not there."""
    write_templates(world.folder / "templates", note=_FRONT + "{{ subject.missing }}")
    world.call("run")
    pipeline.run(world.settings)


def forget_users(world: World) -> None:
    """Forget users known and unknown, and while a run is under way."""
    pipeline.run(world.settings)
    out = str(world.settings.output)
    with Store.open(world.settings.output, buckets=4).lock():
        world.call("forget", out, USER)
    world.call(
        "forget", out, USER, f"{CANARY}-nobody", "--config", str(world.folder / "config.toml")
    )
    world.call("forget", out, USER)
    with Store.open(world.settings.output, buckets=4).lock():
        forget(world.settings.output, [USER])


def ask_for_nobody(world: World) -> None:
    """Ask for a user nobody knows, a kind nobody knows, and by a mapping with a wrong name."""
    world.call("generate", f"{CANARY}-nobody")
    world.call("generate", USER, "--kind", "sonnet")
    generate_for({"user_id": USER, "text": f"a {CANARY} text"}, config=world.folder / "config.toml")


def misspell_a_variable(world: World) -> None:
    """Give settings in the environment that are secrets, or of a wrong type."""
    for name in ("PERSONALM_TOKEN", "PERSONALM_SEED", "PERSONALM_GENERATION", "PERSONALM_INPUTS"):
        with world.patch.context() as patch:
            patch.setenv(name, SECRET)
            world.call("run")
            world.call("status", str(world.settings.output))


def run_well(world: World) -> None:
    """Run with results, rejections and opted-out users; then with other texts, and export."""
    pipeline.run(world.settings)
    world.rewrite("interactions", kind="chat")
    assert world.call("run", "--prune") in {0, 3}
    world.call("status", str(world.settings.output))
    world.call("export", str(world.settings.output), str(world.folder / "texts.csv"))


def fill_memory(world: World) -> None:
    """Run out of memory within a user's prompt."""
    world.patch.setattr("personalm.prompting.prompter.sample_styles", fail(MemoryError()))
    world.call("run")
    pipeline.run(world.settings)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        *(run_well, break_planning, break_program, break_journal, break_engine, break_embedder),
        *(break_gates, break_accounts, damage_unit, damage_results, run_twice_at_once),
        *(attach_a_worker, ask_twice, cut_a_file, break_template, forget_users, ask_for_nobody),
        *(misspell_a_variable, misname_in_a_template, fill_memory),
    )
} | {
    "ids_are_floats": mistype("user_id", 7.5),
    "texts_are_numbers": mistype("text", 7),
    "texts_are_structs": mistype("text", {"a": CANARY}),
    "times_are_words": mistype("created_at", f"{CANARY} o'clock"),
    "ratings_are_words": mistype("rating", CANARY),
    "texts_are_no_utf8": mistype("text", CANARY.encode() + b"\xff"),
    "threads_are_lists": mistype("thread_id", [CANARY]),
}


ENDS_WELL = {
    *("run_well", "break_planning", "break_gates", "damage_unit", "attach_a_worker"),
    *("break_template", "misspell_a_variable", "times_are_words"),
}
"""Scenarios that end without an error: what fails in them costs rows alone, or was a command."""


def told(error: BaseException) -> str:
    """Return all that an error can tell: itself, its notes, and its traceback with causes."""
    return "".join([repr(error), str(error), *traceback.format_exception(error)])


def own_records(folder: Path) -> Iterator[str]:
    """Yield the names of all files, and the content of those that are not results or inputs."""
    for path in folder.rglob("*"):
        yield path.name
        if path.is_symlink():
            yield str(path.readlink())
        is_record = path.suffix == ".json" or path.name == "_lock"
        if path.is_file() and is_record and "withdrawn" not in path.parts:
            yield path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_people_wrote_is_told_nowhere(
    scenario: str,
    world: World,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not by a log at any level, a message, a file's name, a record of ours, or an error."""
    caplog.set_level(logging.DEBUG)
    errors = []
    try:
        SCENARIOS[scenario](world)
    except (PersonalmError, MemoryError) as error:
        errors.append(told(error))
    printed = capfd.readouterr()
    everything = {
        "the log": caplog.text + "".join(str(record.args) for record in caplog.records),
        "standard output": printed.out,
        "standard error": printed.err,
        "an error": "".join(errors),
        "records and names": "\n".join(own_records(world.folder)),
    }
    found = {place for place, content in everything.items() if CANARY in content.lower()}
    assert found == set(), {place: everything[place][-2_000:] for place in found}
    assert bool(errors) == (scenario not in ENDS_WELL)
    assert "Traceback" not in printed.err


def test_the_canaries_are_there_to_be_found(world: World) -> None:
    """The search is not for what nobody wrote: results hold ids, and the inputs every word."""
    pipeline.run(world.settings)

    assert CANARY in repr(read_table(world.settings.output).to_pylist())
    assert CANARY in repr(read_table(world.settings.output, "rejections").to_pylist())
