"""Laws of a run, end to end on the sample data with the shipped fakes: no model is needed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.accounts import Counts
from personalm.errors import InputDamagedError, StoreLockedError
from personalm.forecasting import forecast
from personalm.pipeline import Run, open_run
from personalm.progress import CountingProgress, SilentProgress
from personalm.settings import Settings, load_settings
from personalm.store.reading import read_table, status
from personalm.store.store import Store
from personalm.store.verify import verify

if TYPE_CHECKING:
    from personalm.writing import WrittenUnit

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_data"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of the sample data, with fakes for the models."""
    return load_settings(
        ROOT / "personalm.toml",
        model="scripted",
        output=tmp_path / "out",
        **{
            "selection.embedder": "scripted",
            "generation.languages": ["en"],
            # Units enough to be broken off among them.
            "generation.unit_tokens": 800,
        },
    )


def rows_of(output: Path) -> list[dict[str, object]]:
    """Return the live results without what differs from run to run."""
    rows = read_table(output).drop_columns(["run_id", "generated_at"]).to_pylist()
    return sorted(rows, key=lambda row: (row["user_id"], row["kind"], row["subject_id"]))


def test_every_request_has_exactly_one_outcome(settings: Settings) -> None:
    """Requests = results + rejections + unchanged + opted out, and the rows say the same."""
    counts = pipeline.run(settings).counts

    assert counts.is_balanced
    assert counts.requests == pq.read_metadata(SAMPLES / "requests.parquet").num_rows
    assert counts.opted_out > 0
    results = pd.read_parquet(settings.output / "latest" / "results")
    rejections = pd.read_parquet(settings.output / "latest" / "rejections")
    assert (len(results), len(rejections)) == (counts.results, counts.rejections)
    keys = pd.concat([results, rejections])[["user_id", "kind", "subject_id"]]
    assert not keys.duplicated().any()


def test_a_run_without_changes_generates_nothing_and_changes_nothing(settings: Settings) -> None:
    """The second run finds every key unchanged, rejected ones too."""
    first = pipeline.run(settings)
    before = rows_of(settings.output)

    second = pipeline.run(settings)

    assert second.counts.generated == 0
    assert second.counts.unchanged == first.counts.results + first.counts.rejections
    assert second.snapshot is None
    assert rows_of(settings.output) == before


def test_every_rejection_is_counted_by_its_reason(settings: Settings) -> None:
    """In the summary and in the state of the folder, also of a run that was taken up again."""
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(settings, progress=Killed(5))

    drops = pipeline.run(settings).drops

    reasons = Counter(read_table(settings.output, table="rejections")["reason"].to_pylist())
    assert len(reasons) > 1
    assert drops.by_reason == dict(reasons)
    assert status(settings.output)["drops"]["by_reason"] == dict(reasons)
    assert drops.lines[0].startswith(f"rejected: {reasons.most_common(1)[0][0]} ")


def test_a_skipped_file_stands_in_the_summary(settings: Settings, tmp_path: Path) -> None:
    """Damage stops a run before anything is written, or is told at its end."""
    torn = tmp_path / "torn.parquet"
    torn.write_bytes((SAMPLES / "interactions.parquet").read_bytes()[:-100])
    tables = {"interactions": (*settings.inputs.interactions, str(torn))}
    strict = settings.model_copy(update={"inputs": settings.inputs.model_copy(update=tables)})
    with pytest.raises(InputDamagedError, match=r"torn\.parquet"):
        pipeline.run(strict)
    assert not (settings.output / "latest").exists()

    inputs = strict.inputs.model_copy(update={"damaged": "skip"})
    (note,) = pipeline.run(strict.model_copy(update={"inputs": inputs})).notes

    assert note.startswith(f"interactions: skipped {torn}: the file is no whole Parquet file")


class Killed(SilentProgress):
    """Ends the run after some units, as a kill would: nothing is cleaned up by the pipeline."""

    def __init__(self, after: int) -> None:
        self.left = after

    def finish_unit(self, written: WrittenUnit) -> None:
        """Count down."""
        del written
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 5, 12])
def test_a_run_that_is_broken_off_is_taken_up_where_it_was(
    settings: Settings, after: int, tmp_path: Path
) -> None:
    """What was journalled is not generated again, and the outcome is that of an unbroken run."""
    whole = settings.model_copy(update={"output": tmp_path / "whole"})
    expected = pipeline.run(whole).counts
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(settings, progress=Killed(after))
    unfinished = status(settings.output)["unfinished"]
    assert unfinished["units"] >= after

    counts = pipeline.run(settings).counts

    assert counts.resumed > 0
    assert counts.resumed + counts.generated == expected.generated
    assert rows_of(settings.output) == rows_of(whole.output)
    assert verify(settings.output) == ()


def test_a_broken_off_run_under_other_settings_is_begun_anew(settings: Settings) -> None:
    """Texts of two settings are never blended."""
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(settings, progress=Killed(3))

    counts = pipeline.run(settings.model_copy(update={"seed": 1})).counts

    assert counts.resumed == 0
    assert {row["seed"] for row in rows_of(settings.output)} == {1}


def test_a_changed_text_of_one_user_redoes_that_user_alone(
    settings: Settings, tmp_path: Path
) -> None:
    """All other rows stay as they are, byte for byte."""
    pipeline.run(settings)
    before = {row["user_id"]: row for row in rows_of(settings.output)}
    table = pq.read_table(SAMPLES / "interactions.parquet")
    rows = table.to_pylist()
    place = next(i for i, row in enumerate(rows) if row["user_id"] == "u-hale" and row["text"])
    rows[place]["text"] += " And one more thing."
    changed = tmp_path / "interactions.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), changed)
    inputs = settings.inputs.model_copy(update={"interactions": (str(changed),)})

    counts = pipeline.run(settings.model_copy(update={"inputs": inputs})).counts

    num_requests = sum(
        row["user_id"] == "u-hale"
        for row in pq.read_table(SAMPLES / "requests.parquet").to_pylist()
    )
    assert counts.generated == num_requests
    after = {row["user_id"]: row for row in rows_of(settings.output)}
    assert {u: r for u, r in after.items() if u != "u-hale"} == {
        u: r for u, r in before.items() if u != "u-hale"
    }


def test_a_user_who_opts_out_loses_their_rows_at_the_next_run(
    settings: Settings, tmp_path: Path
) -> None:
    """Results made before the opt-out are withdrawn; everybody else's stay."""
    pipeline.run(settings)
    before = rows_of(settings.output)
    table = pq.read_table(SAMPLES / "profiles.parquet")
    rows = [
        row | {"opt_out": True} if row["user_id"] == "u-hale" else row for row in table.to_pylist()
    ]
    changed = tmp_path / "profiles.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), changed)
    inputs = settings.inputs.model_copy(update={"profiles": (str(changed),)})

    pipeline.run(settings.model_copy(update={"inputs": inputs}))

    assert rows_of(settings.output) == [row for row in before if row["user_id"] != "u-hale"]


class Watched(CountingProgress):
    """Notes the share of the work that is told after each unit, and the share that is true."""

    def __init__(self, num_requests: int) -> None:
        super().__init__()
        self._num_requests = num_requests
        self.differences: list[float] = []

    def finish_unit(self, written: WrittenUnit) -> None:
        """Compare them."""
        super().finish_unit(written)
        done = (self.counts.results + self.counts.rejections) / self._num_requests
        self.differences.append(abs(self.share - done))


def test_the_share_of_the_work_is_that_of_the_requests(settings: Settings) -> None:
    """Also where one user has asked for nearly everything."""
    requests = pq.read_table(SAMPLES / "requests.parquet").to_pylist()
    many = [{**requests[0], "request_id": f"m{n}", "subject_id": f"s{n}"} for n in range(200)]
    path = settings.output.parent / "many.parquet"
    mine = {"kind": "post", "subject": "the first frost", "thread_id": None, "voice_id": None}
    table = pa.Table.from_pylist(requests[1:4] + [{**each, **mine} for each in many])
    pq.write_table(table, path)
    inputs = settings.inputs.model_copy(update={"requests": (str(path),)})
    progress = Watched(table.num_rows)

    pipeline.run(settings.model_copy(update={"inputs": inputs}), progress=progress)

    assert len(progress.differences) > 20
    assert max(progress.differences) < 0.1
    assert progress.share == 1.0


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_a_limit_counts_users(settings: Settings, limit: int) -> None:
    """The first users in the order of their digests are served, with all their requests."""
    pipeline.run(settings, limit=limit)

    tables = [read_table(settings.output, table=name) for name in ("results", "rejections")]
    users = {user for table in tables for user in table["user_id"].to_pylist()}
    opted_out = {"u-gregor"}
    assert limit - len(opted_out) <= len(users) <= limit


def test_counting_changes_nothing_and_says_what_a_run_does(settings: Settings) -> None:
    """A dry run leaves no trace, and its numbers come true."""
    expected = forecast(settings).counts
    assert not settings.output.exists()

    counts = pipeline.run(settings).counts

    assert (expected.requests, expected.generated) == (counts.requests, counts.generated)
    again = forecast(settings).counts
    assert (again.generated, again.unchanged) == (0, counts.results + counts.rejections)


def test_a_worker_attaches_to_a_run_by_its_folder_alone(settings: Settings) -> None:
    """Buckets may be written by whoever knows the folder; the driver publishes."""
    with open_run(settings) as run:
        reports = [Run.attach(run.folder).write_bucket(bucket) for bucket in run.buckets]
        summary = run.publish(reports)

    assert summary.counts == sum((report.counts for report in reports), Counts())
    assert len(rows_of(settings.output)) == summary.counts.results


def test_two_runs_on_one_output_exclude_each_other(settings: Settings) -> None:
    """The second one is refused at once."""
    with open_run(settings), pytest.raises(StoreLockedError):
        pipeline.run(settings)


def test_nothing_personal_is_left_beside_the_results(settings: Settings) -> None:
    """After a run the folder holds no spilled inputs and no journal."""
    pipeline.run(settings)

    assert not list((settings.output / "_runs").rglob("*.*"))
    record = json.loads(next((settings.output / "_snapshots").glob("*.json")).read_text())
    assert "u-hale" not in json.dumps(record)
    assert Store.find(settings.output) is not None
