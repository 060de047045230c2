"""The scheduler's door: the main job as a Prefect flow, one task a shard.

A shard is a range of buckets. Tasks are handed a folder and numbers, never records or models, and
give back counts; the truth is the store, not Prefect's state. Run it without a server of your own:

    python -m flows.generate_content --config personalm.toml
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.server import leave_page, warn_of_open_server
from personalm.accounts import Counts, Drops, Scope
from personalm.pipeline import BucketReport, Run, Summary, open_run
from personalm.progress import LineProgress, make_progress
from personalm.settings import load_settings
from personalm.shell import REJECTED_SOME, run_app

app = App(
    name="python -m flows.generate_content",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


@task(
    name="write-shard",
    task_run_name="write-shard-{shard}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def write_shard(run_folder: str, shard: int, buckets: list[int]) -> list[dict[str, object]]:
    """Write every text of a range of buckets into the journal of a run."""
    run = Run.attach(Path(run_folder))
    with make_progress(label=f"shard {shard}") as progress:
        progress.begin_writing(run.sizes_of(buckets))
        return [asdict(run.write_bucket(bucket, progress=progress)) for bucket in buckets]


@flow(name="generate-content", persist_result=False, validate_parameters=True)
def generate_content(
    *,
    config: str | None = None,
    output: str | None = None,
    model: str | None = None,
    limit: int | None = None,
    retry_rejected: bool = False,
    rebuild: bool = False,
) -> dict[str, object]:
    """Write every text that is missing or out of date, and publish them as one snapshot."""
    warn_of_open_server()
    settings = load_settings(config, output=output, model=model)
    scope = Scope(retries_rejected=retry_rejected)
    with open_run(
        settings, limit=limit, scope=scope, rebuild=rebuild, progress=LineProgress()
    ) as run:
        reports: list[BucketReport] = []
        for number, buckets in enumerate(cut_shards(run.buckets, settings.shards), start=1):
            rows = write_shard(str(run.folder), number, list(buckets))
            reports += [read_report(row) for row in rows]
        summary = run.publish(reports)
    publish_artifact(summary)
    return {"run_id": summary.run_id, "snapshot": summary.snapshot, **asdict(summary.counts)}


def cut_shards(buckets: tuple[int, ...], num_shards: int) -> tuple[tuple[int, ...], ...]:
    """Cut buckets into ranges of nearly equal length, none of them empty."""
    num_shards = min(num_shards, len(buckets))
    bounds = [len(buckets) * i // num_shards for i in range(num_shards + 1)] if num_shards else []
    return tuple(buckets[a:b] for a, b in pairwise(bounds))


def read_report(row: dict[str, object]) -> BucketReport:
    """Turn what a task gave back into a report again."""
    read = {"counts": Counts(**row["counts"]), "drops": Drops(**row["drops"])}  # type: ignore[arg-type]  # JSON
    return BucketReport(**{**row, **read})  # type: ignore[arg-type]  # the same


def publish_artifact(summary: Summary) -> None:
    """Leave the outcome as a table in Prefect's pages: counts only, no personal data."""
    counts = asdict(summary.counts).items()
    drops = summary.drops
    rejected = ((f"rejected: {reason}", number) for reason, number in drops.by_reason.items())
    dropped = ((f"dropped: {gate}", number) for gate, number in drops.by_gate.items())
    rows = "\n".join(f"| {name} | {value} |" for name, value in (*counts, *rejected, *dropped))
    leave_page(
        "generate-content",
        f"| requests | {summary.counts.requests} |\n|---|---|\n{rows}",
        description=f"Outcome of run {summary.run_id}",
    )


@app.default
def command(
    *,
    config: str | None = None,
    output: str | None = None,
    model: str | None = None,
    limit: int | None = None,
    retry: Literal["rejected"] | None = None,
    rebuild: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Run the flow once, with a temporary Prefect server unless PREFECT_API_URL names one.

    Example: `python -m flows.generate_content --config personalm.toml --output OUT`

    Parameters
    ----------
    config
        TOML file with the settings.
    output
        Folder of the results.
    model
        A folder, a hub id, or a bundled name.
    limit
        Serve only this many users.
    retry
        Also write what was rejected before, although nothing of it has changed.
    rebuild
        Make the pool of strangers' texts and the leak index anew, of the texts of today: every
        text that one of them has a say in is written again.
    """
    outcome = generate_content(
        config=config,
        output=output,
        model=model,
        limit=limit,
        retry_rejected=retry == "rejected",
        rebuild=rebuild,
    )
    return REJECTED_SOME if outcome["rejections"] else 0


if __name__ == "__main__":
    run_app(app)
