"""Laws of the Prefect flow, with the real command and Prefect's own temporary server."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prefect.exceptions import CancelledRun, TerminationSignal

from flows.evaluate import evaluate
from flows.finetune import finetune
from flows.generate_content import cut_shards, generate_content, write_shard
from personalm import pipeline
from personalm.errors import ProgramError, Stopped
from personalm.settings import load_settings
from personalm.store.reading import read_table
from tests.population import Person, make_settings

ROOT = Path(__file__).parent.parent.parent


@given(st.integers(0, 40), st.integers(1, 10))
def test_shards_are_ranges_that_cover_every_bucket_once(num_buckets: int, num_shards: int) -> None:
    """No shard is empty, and none is much longer than another."""
    buckets = tuple(range(num_buckets))

    shards = cut_shards(buckets, num_shards)

    assert tuple(bucket for shard in shards for bucket in shard) == buckets
    lengths = [len(shard) for shard in shards]
    assert not lengths or max(lengths) - min(lengths) <= 1
    assert 0 not in lengths


def test_the_deployments_name_the_flow_and_its_parameters() -> None:
    """`prefect.yaml` has scheduled and ad-hoc deployments of every flow, all callable."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]

    assert [d["name"] for d in deployments] == ["nightly", "ad-hoc", "weekly", "measure"]
    flows = {flow.fn.__name__: flow for flow in (generate_content, finetune, evaluate)}
    assert "cron" in deployments[0]["schedules"][0]
    for deployment in deployments:
        path, name = deployment["entrypoint"].split(":")
        assert (ROOT / path).is_file()
        assert path == f"flows/{name}.py"
        properties = flows[name].parameters.model_dump()["properties"]
        assert set(deployment["parameters"]) <= set(properties)


def write_config(folder: Path, people: list[Person]) -> Path:
    """Write people, and the configuration of a run over them."""
    settings = make_settings(folder, people)
    config = folder / "flow.toml"
    config.write_text(
        f'model = "scripted"\noutput = "{settings.output}"\nshards = 3\n'
        f'templates_dir = "{settings.templates_dir}"\n[inputs]\n'
        f"profiles = {list(settings.inputs.profiles)}\n"
        f"interactions = {list(settings.inputs.interactions)}\n"
        '[selection]\nembedder = "scripted"\n[generation]\nlanguages = ["en"]\n'
        "[store]\nbuckets = 8\n",
        encoding="utf-8",
    )
    return config


def test_what_the_server_hears_of_does_not_grow_with_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task a shard, folders and numbers in, counts out; a server has limits for all of them."""
    told: list[object] = []

    def note(folder: str, number: int, buckets: list[int]) -> list[dict[str, object]]:
        reports = write_shard.fn(folder, number, buckets)
        told.append([folder, number, buckets, reports])
        return reports

    monkeypatch.setattr("flows.generate_content.write_shard", note)
    monkeypatch.setattr("flows.server.create_markdown_artifact", lambda **page: told.append(page))
    sizes = []
    for number in (3, 60):
        people = [Person(user_id=f"somebody-{n}") for n in range(number)]
        config = write_config(tmp_path / f"{number:03}", people)
        told.clear()
        outcome = generate_content.fn(config=str(config))
        assert outcome["results"] == number
        sizes.append([len(json.dumps(each)) for each in [*told, outcome]])
        assert "somebody" not in json.dumps([*told, outcome])

    few, many = sizes
    assert len(few) == len(many) == 3 + 1 + 1
    # Counts have more digits.
    assert all(more <= less + 150 for less, more in zip(few, many, strict=True))
    assert max(many) < 4_000


@pytest.mark.parametrize("error", [TerminationSignal(15), Stopped(15), CancelledRun()], ids=repr)
def test_a_flow_that_is_cancelled_leaves_nothing_open_and_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """By a signal or in Prefect's own words: nothing is published, and nothing written twice."""

    def cancel(folder: str, number: int, buckets: list[int]) -> list[dict[str, object]]:
        if number == 2:
            raise error
        return write_shard.fn(folder, number, buckets)

    monkeypatch.setattr("flows.generate_content.write_shard", cancel)
    config = write_config(tmp_path, [Person(user_id=f"u{n}") for n in range(24)])
    with pytest.raises((type(error), ProgramError)):
        generate_content.fn(config=str(config))

    assert not list((tmp_path / "out").rglob("results"))
    assert not list((tmp_path / "out").glob("_runs/*/spill"))
    monkeypatch.setattr("flows.generate_content.write_shard", write_shard.fn)
    monkeypatch.setattr("flows.server.create_markdown_artifact", lambda **_: None)
    outcome = generate_content.fn(config=str(config))
    assert outcome["results"] == 24
    assert 0 < int(str(outcome["resumed"])) < 24
    assert int(str(outcome["resumed"])) + int(str(outcome["generated"])) == 24


class RefusedError(Exception):
    """What a server answers that cannot take a page."""


@pytest.mark.parametrize("error", [RefusedError("database is locked"), Stopped(15)], ids=repr)
def test_what_is_published_stays_so_whatever_befalls_the_flow_afterwards(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    """A page that is not taken is a warning; a late signal leaves nothing to do again."""

    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr("flows.generate_content.write_shard", write_shard.fn)
    monkeypatch.setattr("flows.server.create_markdown_artifact", refuse)
    config = write_config(tmp_path, [Person(user_id=f"u{n}") for n in range(5)])

    if isinstance(error, Stopped):
        with pytest.raises(Stopped):
            generate_content.fn(config=str(config))
    else:
        assert generate_content.fn(config=str(config))["results"] == 5
        assert "did not take the page generate-content (RefusedError)" in caplog.text
        assert "locked" not in caplog.text
    rows = read_table(tmp_path / "out").to_pylist()
    again = pipeline.run(load_settings(config)).counts

    assert len(rows) == 5
    assert (again.generated, again.requests) == (0, 5)
    assert read_table(tmp_path / "out").to_pylist() == rows


CANARY = "kestrel"
FAILING_THEN_WHOLE = f"""
import os, runpy, sys
from personalm.store import journal
from flows.generate_content import generate_content

def fail(outcomes, **_):
    raise TypeError("{CANARY} " + repr([outcome.key.user_id for outcome in outcomes]))

whole, journal.to_unit = journal.to_unit, fail
try:
    generate_content(config=os.environ["CANARIES"])
except Exception as error:
    assert type(error).__name__ == "ProgramError", error
journal.to_unit = whole
runpy.run_module("flows.generate_content", run_name="__main__")
"""
"""Two flows on one server of Prefect's own: a fault of the program, and the command."""


@pytest.mark.timeout(180)
def test_the_flow_gives_what_the_shell_gives(tmp_path: Path) -> None:
    """One pipeline serves both: same rows, same exit code; personal data stays out of Prefect.

    Out of its database and its loudest log, and also where a flow fails on somebody's row.
    """
    people = [Person(user_id=f"{CANARY}-id", texts=(f"my {CANARY} kettle", f"a {CANARY} train"))]
    config = write_config(tmp_path / "canaries", people)
    secret = f"hf_{CANARY}"
    variables = {
        "CANARIES": str(config),
        "HF_TOKEN": secret,
        "PERSONALM_SELECTION__EMBEDDER": "scripted",
        "PERSONALM_GENERATION__LANGUAGES": '["en"]',
        "PREFECT_HOME": str(tmp_path / "prefect"),
        # Not even a server that would keep results by itself gets any.
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }
    output = tmp_path / "flow"
    done = subprocess.run(
        [
            *(sys.executable, "-c", FAILING_THEN_WHOLE),
            *("--config", str(ROOT / "personalm.toml")),
            *("--model", "scripted", "--output", str(output)),
        ],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3, done.stderr
    settings = load_settings(
        ROOT / "personalm.toml",
        model="scripted",
        output=tmp_path / "shell",
        **{"selection.embedder": "scripted", "generation.languages": ["en"]},
    )
    pipeline.run(settings)
    drop = ["run_id", "generated_at"]
    flow_rows = read_table(output).drop_columns(drop).to_pylist()
    assert flow_rows == read_table(settings.output).drop_columns(drop).to_pylist()
    text = max((str(row["text"]) for row in flow_rows), key=len)
    # Prefect keeps the error of a flow that failed, whatever it is told; a result it never keeps.
    storage = [p for p in (tmp_path / "prefect" / "storage").rglob("*") if p.is_file()]
    kept = b"".join(base64.decodebytes(p.read_bytes()) for p in storage)
    assert len(storage) <= 1
    assert b"ProgramError" in kept or not storage
    assert b"run_id" not in kept
    database = kept + b"".join(
        p.read_bytes() for p in (tmp_path / "prefect").rglob("*") if p.is_file()
    )
    assert b"ProgramError" in database
    for personal in ("u-hale", text, f"{CANARY}-id", secret, f"my {CANARY}"):
        assert personal.encode() not in database
        assert personal not in done.stderr + done.stdout
