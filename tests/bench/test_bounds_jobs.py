"""The measurements of a run's bounds, on few users: they follow the rooms wherever those move."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_STAGES = {
    "read and spill",
    "impostor pool and leak index",
    "read buckets",
    "plan",
    "prompt",
    "generate",
    "select",
    "journal",
    "publish",
    "rest",
}


def _measure(job: str, folder: Path, size: int) -> Any:
    command = [sys.executable, "-m", "bench.bounds_jobs", job, str(folder), str(size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_stage_of_a_run_is_timed(tmp_path: Path) -> None:
    """A stage whose name has moved would be counted as rest, or end the measurement."""
    _measure("make", tmp_path, 60)

    measured = _measure("run", tmp_path, 60)

    assert set(measured["stages"]) == _STAGES
    assert all(seconds > 0 for seconds in measured["stages"].values())
    assert measured["results"] + measured["rejections"] > 0


@pytest.mark.slow
def test_a_lookup_times_two_users(tmp_path: Path) -> None:
    """Both users are found, each in a time of its own."""
    _measure("make", tmp_path, 60)

    measured = _measure("lookup", tmp_path, 60)

    assert len(measured["seconds"]) == len(measured["processor_seconds_each"]) == 2
