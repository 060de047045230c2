"""The shares of a run's time, on few users: they follow the rooms wherever those move."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAKES = {
    "PERSONALM_MODEL": "scripted",
    "PERSONALM_SELECTION__EMBEDDER": "scripted",
    "PERSONALM_GENERATION__LANGUAGES": '["en"]',
}


def test_every_second_of_both_nights_has_its_stage() -> None:
    """The second night writes all texts again, and the shares add up to the whole."""
    command = [sys.executable, "-m", "bench.shares", "--limit", "6"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | FAKES, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    nights = re.split(r"^.* night: (\d+) requests", done.stdout, flags=re.MULTILINE)[1:]
    assert nights[0] == nights[2] != "0"
    for night in (nights[1], nights[3]):
        shares = dict(re.findall(r"^  (\S.*?) +[-\d.]+ s +([\d.]+)%$", night, re.MULTILINE))
        beside = float(shares.pop("all but generate"))
        assert abs(sum(map(float, shares.values())) - 100) < 1
        assert abs(float(shares["generate"]) + beside - 100) < 0.2
        assert {"select", "prompt", "plan", "journal", "publish"} <= shares.keys()
