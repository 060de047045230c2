"""The failure loop in a short form, and that it finds what is planted.

It runs in a process of its own: one with torch in it must not be forked.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loop(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the loop and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "tests.faults", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_failure_of_a_file_call_breaks_a_promise() -> None:
    """Every operation, in every mode, at some of its calls."""
    done = loop("--every", "90")

    assert done.returncode == 0, done.stdout + done.stderr
    (num_runs,) = re.findall(r"^faults: (\d+) runs, 0 violations$", done.stdout, re.MULTILINE)
    assert int(num_runs) > 40


def test_every_guard_that_is_taken_out_is_missed() -> None:
    """Link, fsync, lock, barred number, counts, checksum, one row a key: each in turn."""
    done = loop("--each-plant")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^[a-z-]+: [1-9]\d* violations$", done.stdout, re.MULTILINE)) == 8
