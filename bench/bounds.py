"""Measure what a run costs beside the model: memory, time and files, however many users there are.

    python -m bench.bounds           # or: make bounds

The shipped fakes stand in for the models. Each measurement is a process of its own, whose peak
memory is what the system says of it. The data is made once, into the folder that --folder names,
and found there afterwards. Returns 1 where a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES = (10_000, 30_000, 100_000)
NUM_HOARDED = 100_000
NUM_UNITS = 2_000
FOLDER = Path("bench-output") / "bounds"
MAX_GROWTH = 1.10
MAX_LOOKUP_SECONDS = 2.0

_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Something that was measured, and whether it is as it should be."""

    text: str
    is_kept: bool


def main() -> int:
    """Print the tables and write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--sizes", type=_numbers, default=SIZES, help="users, with commas")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for num_users in arguments.sizes:
        start("make", folder, num_users)
        runs.append(start("run", folder, num_users))
        _print_run(f"{num_users:,} users", runs[-1])
    hoarder = start("hoarder", folder, NUM_HOARDED)
    _print_run(f"1 user, {NUM_HOARDED:,} rows", hoarder)
    lookup = start("lookup", folder, arguments.sizes[-1])
    long_run = start("units", folder, NUM_UNITS)
    bounds = (*_bounds_of(runs, lookup), *_bounds_of_units(long_run))
    for bound in bounds:
        print(f"{'kept  ' if bound.is_kept else 'BROKEN'}  {bound.text}")
    report = {"runs": runs, "hoarder": hoarder, "lookup": lookup, "units": long_run}
    (folder / "bounds.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"written to {folder / 'bounds.json'}")
    return 0 if all(bound.is_kept for bound in bounds) else 1


def start(job: str, folder: Path, size: int) -> dict[str, Any]:
    """Run one job in a process of its own; return what it reports, with its memory and time."""
    command = [sys.executable, "-m", "bench.bounds_jobs", job, str(folder), str(size)]
    # This process stays small: what it holds when it forks would count for the child.
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:  # noqa: S603 - our own module
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    report: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return report | {
        "size": size,
        "peak_mb": usage.ru_maxrss * 1024 / _MB,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
    }


def _print_run(title: str, run: dict[str, Any]) -> None:
    stages = sorted(run["stages"].items(), key=lambda stage: -stage[1])
    shares = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages)
    print(
        f"{title:<22} {run['peak_mb']:6.1f} MB {run['seconds']:7.1f} s "
        f"{run['users'] / run['seconds']:6.1f} users/s, of the processor "
        f"{run['processor_seconds']:.1f} s, {run['users'] / run['processor_seconds']:.1f} users/s "
        f"({shares})",
        flush=True,
    )


def _bounds_of(runs: list[dict[str, Any]], lookup: dict[str, Any]) -> tuple[Bound, ...]:
    growth = runs[-1]["peak_mb"] / runs[0]["peak_mb"]
    return (
        Bound(
            text=f"peak memory of the largest run over the smallest: {growth:.3f}",
            is_kept=growth < MAX_GROWTH,
        ),
        Bound(
            text=f"generate_for of two users of {lookup['size']:,}, one after the other: "
            f"{_list(lookup['seconds'])} s, of the processor "
            f"{_list(lookup['processor_seconds_each'])} s",
            is_kept=max(lookup["seconds"]) < MAX_LOOKUP_SECONDS,
        ),
    )


def _bounds_of_units(run: dict[str, Any]) -> tuple[Bound, ...]:
    early, half, late = run["marks"]
    growth = late["memory_mb"] / early["memory_mb"]
    log_growth = late["log_bytes"] / max(1, half["log_bytes"])
    return (
        Bound(
            text=f"memory after {late['units']:,} units over {early['units']:,}: {growth:.3f}",
            is_kept=growth < MAX_GROWTH,
        ),
        Bound(
            text=f"open files then: {early['open_files']} and {late['open_files']}",
            is_kept=late["open_files"] == early["open_files"],
        ),
        Bound(
            text=f"log after {late['units']:,} units over {half['units']:,}: {log_growth:.2f}",
            is_kept=log_growth < late["units"] / half["units"] * MAX_GROWTH,
        ),
    )


def _list(seconds: list[float]) -> str:
    return " and ".join(f"{each:.2f}" for each in seconds)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
