"""Laws of an output on an object store: the same table, with nothing but conditional puts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from threading import Barrier
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from personalm import pipeline, read_results
from personalm.errors import StoreError
from personalm.remote import RemotePath, place_of
from personalm.settings import load_settings
from personalm.store.export import export
from personalm.store.forgetting import forget
from personalm.store.journal import Journal
from personalm.store.object_files import ObjectFiles
from personalm.store.reading import status
from personalm.store.store import Store
from personalm.store.verify import find_leftovers, verify
from tests.s3.server import ACCESS_KEY, SECRET_KEY
from tests.store.world import BUCKETS, Plan, key_of, publish, read_view, run, table_of, wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from personalm.records import Key
    from personalm.settings import Settings

ROOT = Path(__file__).parents[2]
KEY = ("user_id", "kind", "subject_id")
USERS = ("ada", "bo", "cy")
NUM_USERS = 6

_KILLED_RUN = """
import os, signal, sys
from personalm import pipeline
from personalm.progress import SilentProgress
from tests.s3.test_store_on_s3 import NUM_USERS, settings_of

class Killing(SilentProgress):
    left = 3
    def finish_unit(self, written):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

pipeline.run(settings_of(sys.argv[1]), limit=NUM_USERS, progress=Killing())
"""


def settings_of(output: str | Path) -> Settings:
    """Return the settings of the sample data, with fakes for the models."""
    return load_settings(
        ROOT / "personalm.toml",
        model="scripted",
        output=output,
        **{
            "selection.embedder": "scripted",
            "generation.languages": ["en"],
            "generation.unit_tokens": 100,
            "store.buckets": 2,
        },
    )


def comparable(table: pa.Table) -> pa.Table:
    """Return rows by key, without what differs from run to run."""
    return table.drop_columns(["run_id", "generated_at"]).sort_by([(k, "ascending") for k in KEY])


def contents(place: RemotePath) -> dict[RemotePath, bytes]:
    """Return all objects below a place."""
    files = ObjectFiles()
    found: dict[RemotePath, bytes] = {}
    for name in files.names(place):
        try:
            found[place / name] = files.read(place / name)
        except FileNotFoundError:
            found |= contents(place / name)
    return found


def remote(url: str) -> RemotePath:
    """Return the place of an s3:// URL."""
    place = place_of(url)
    assert isinstance(place, RemotePath)
    return place


def test_a_killed_run_goes_on_and_gives_the_table_of_an_uninterrupted_one(
    s3: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, resumed and published: the same rows, no key twice, nothing left."""
    output = f"{s3}/some/where"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, output], cwd=ROOT, capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    assert status(output)["snapshot"] is None
    assert status(output)["unfinished"]["units"] == 3
    scratch = tmp_path / f"personalm-{os.getuid()}"
    assert [path.stat().st_mode & 0o077 for path in (scratch, *scratch.iterdir())] == [0, 0]
    secrets = [secret.encode() for secret in (ACCESS_KEY, SECRET_KEY, endpoint)]
    kept = contents(remote(output))
    assert any(path.name == "spec.json" for path in kept)
    assert not [path for path, data in kept.items() for secret in secrets if secret in data]

    summary = pipeline.run(settings_of(output), limit=NUM_USERS)

    assert summary.counts.resumed > 0
    assert verify(output) == find_leftovers(output) == ()
    assert list(scratch.iterdir()) == []
    assert ObjectFiles().names(remote(output) / "_runs") == ()
    whole = str(tmp_path / "whole")
    pipeline.run(settings_of(whole), limit=NUM_USERS)
    rows = comparable(read_results(output))
    assert rows == comparable(read_results(whole))
    assert rows.group_by(KEY).aggregate([]).num_rows == rows.num_rows > 0
    assert export(output, tmp_path / "texts.csv") == rows.num_rows


def test_what_a_dropped_run_has_spilled_here_goes(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next start, whatever that is; what other outputs have spilled stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spilled = []
    for name in ("out", "other"):
        store = Store.open(f"{s3}/{name}", buckets=BUCKETS)
        with store.lock():
            spilled.append(store.start_run("m1").spill_folder)
        spilled[-1].mkdir()
    store = Store.require(f"{s3}/out")
    with store.lock():
        store.start_run("m2")

    assert [folder.exists() for folder in spilled] == [False, True]


def test_the_pointer_names_the_files_of_the_newest_snapshot(s3: str) -> None:
    """A reader of plain Parquet finds them in one object; damage to it is found and mended."""
    output = s3 + "/out"
    for version in ("v1", "v2"):
        run(remote(output), wanted(*USERS, version=version))
    pointer = remote(output) / "latest.json"

    named = json.loads(ObjectFiles().read(pointer))

    assert named["snapshot"] == 2
    assert all(ObjectFiles().read(remote(output) / path) for path in named["results"])
    ObjectFiles().replace(pointer, b"{}")
    assert len(verify(output)) == 1
    run(remote(output), wanted(*USERS, version="v2"))
    assert verify(output) == ()


def test_a_store_rolls_back_and_is_vacuumed(s3: str) -> None:
    """What a local store can do, this one can; what a snapshot needs stays."""
    output = remote(s3)
    for version in ("v1", "v2", "v3"):
        run(output, wanted(*USERS, version=version))
    store = Store.require(output)
    with store.lock():
        store.rollback(1)
        assert store.vacuum(keep=1) > 0

    assert read_view(output) == table_of(wanted(*USERS, version="v1"))
    assert verify(output) == find_leftovers(output) == ()


def test_a_forgotten_user_leaves_nothing(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a snapshot, not in the journal of an unfinished run, not in what it has spilled."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    output = remote(s3) / "out"
    for version in ("v1", "v2"):
        run(output, wanted(*USERS, version=version))
    store = Store.require(output)
    with store.lock():
        journal = store.start_run("m2")
        Plan(store, wanted(*USERS, version="v3")).write(journal)
        journal.withdraw(0, [key_of("ada")])
        journal.spill_folder.mkdir()

    erasure = forget(output, ["ada"])

    assert (erasure.num_snapshots, erasure.snapshot) == (2, 3)
    assert erasure.num_units > 0
    assert not journal.spill_folder.exists()
    assert read_view(output) == table_of(wanted("bo", "cy", version="v2"))
    for path, data in contents(output).items():
        users = pq.read_table(pa.BufferReader(data))["user_id"] if path.suffix == ".parquet" else []
        assert "ada" not in [str(user) for user in users]
        # A run's id and a digest are random, and may spell the name.
        words = re.sub(rb"[0-9a-f]{8,}", b"", data)
        assert b"ada" not in words or path.suffix == ".parquet"
    assert forget(output, ["ada"]).is_empty
    assert verify(output) == find_leftovers(output) == ()


def test_of_two_runs_at_once_exactly_one_commits_and_the_other_says_so(s3: str) -> None:
    """Both believe to hold the lock and meet just before the commit, ten times."""
    output = remote(s3) / "out"
    run(output, wanted("ada"))
    for number in range(2, 12):
        tables = {name: wanted(*USERS, version=f"{name}-{number}") for name in ("m1", "m2")}
        said = publish_at_once(output, tables)

        (winner,) = [name for name, words in said.items() if words is None]
        (loser,) = [words for words in said.values() if words is not None]
        assert "another run has published or tidied" in loser
        assert "nothing of this run is published" in loser
        assert read_view(output) == table_of(tables[winner])
        assert ObjectFiles().names(output / "_snapshots")[-1] == f"{number:08d}.json"
    run(output, tables["m2"], fingerprint="m2")
    assert read_view(output) == table_of(tables["m2"])
    assert verify(output) == ()


def publish_at_once(output: RemotePath, tables: dict[str, dict[Key, str]]) -> dict[str, str | None]:
    """Publish two runs that meet just before the commit; return what each was told."""
    barrier = Barrier(2, timeout=20)

    class Meeting(ObjectFiles):
        def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
            if path.parent.name == "_snapshots":
                barrier.wait()
            super().create(path, data)

    def work(store: Store, journal: Journal, plan: Plan) -> str | None:
        try:
            publish(store, journal, plan)
        except StoreError as error:
            return str(error)
        return None

    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(2))
        running = {}
        for name, requests in tables.items():
            store = Store.open(output, buckets=BUCKETS, files=Meeting())
            stack.enter_context(store.lock())
            ObjectFiles().remove(output / "_lock")
            journal = Journal.begin(
                output / "_runs" / f"run-{token_hex(4)}", fingerprint=name, files=ObjectFiles()
            )
            plan = Plan(store, requests)
            plan.write(journal)
            running[name] = threads.submit(work, store, journal, plan)
        return {name: each.result(timeout=30) for name, each in running.items()}
