"""The long trials in a short form, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def soak(*switches: str, **sizes: int) -> str:
    """Run the trials that have a size; return what they said."""
    asked = dict.fromkeys(("kills", "trainings", "rounds", "steps", "snapshots"), 0) | sizes
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", *switches]
        + [part for name, size in asked.items() for part in (f"--{name}", str(size))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_races_and_full_disks_break_no_promise() -> None:
    """Two runs at once, readers beside a writer, and disks of several sizes."""
    said = soak(rounds=5, steps=5, snapshots=20)

    assert re.search(r"^runs: 5 rounds, .* 0 violations$", said, re.MULTILINE)
    assert re.search(r"^full disk: \d+ sizes of .*, [1-9]\d* were full, 0 v", said, re.MULTILINE)
    assert re.search(r"^readers: 20 snapshots, .* 0 violations$", said, re.MULTILINE)


def test_a_run_that_is_killed_at_random_ends_as_an_undisturbed_one() -> None:
    """The real command, killed five times."""
    said = soak("--scripted", kills=5, users=80)

    assert re.search(r"^kills: 5 kills, .* 0 violations$", said, re.MULTILINE)
