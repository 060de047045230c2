"""Random kills: the real command with a tiny GPT-2 is killed at a time drawn at random.

It is started again and again; where it ends before its time has come, what is published is
compared with an undisturbed run, and the other night's inputs are served.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personalm.errors import PersonalmError
from personalm.store.reading import status
from personalm.store.verify import find_leftovers, verify
from tests.conftest import make_tiny_gpt2
from tests.soak.world import NIGHTS, ROOT, command, digest_of, environment, make_nights, serve

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True, kw_only=True)
class KillTally:
    """What came of the kills."""

    num_kills: int = 0
    num_after_unit: int = 0
    num_after_commit: int = 0
    num_ends: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"kills: {self.num_kills} kills, {self.num_after_unit} after a journalled unit, "
            f"{self.num_after_commit} after the commit, {self.num_ends} ends, "
            f"{len(self.violations)} violations"
        )


def kill_at_random(
    place: Path, *, num_kills: int, num_users: int, is_scripted: bool, seed: int
) -> tuple[str, list[str]]:
    """Kill so many runs; end the last night whole. A scripted engine stands in where asked."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    model = "scripted" if is_scripted else str(make_tiny_gpt2(place / "model", _TEXTS).folder)
    make_nights(place, model, num_users=num_users, num_candidates=64 if is_scripted else 8)
    right, duration = _undisturbed(place)
    output = place / "out"
    tally = KillTally()
    night = 0
    shown = ""
    while tally.num_kills < num_kills:
        is_killed = _kill(place, NIGHTS[night], chance.uniform(0, duration))
        now = _look(output, tally)
        if now not in {shown, right[night]}:
            tally.violations.append(f"kill {tally.num_kills}: neither the old table nor the new")
        if is_killed:
            tally.num_kills += 1
            num_units = _num_units(output)
            tally.num_after_unit += num_units > 0
            tally.num_after_commit += now == right[night] != shown
            continue
        _check_end(output, tally, right[night])
        shown, night = right[night], 1 - night
    _finish(place, NIGHTS[night], tally, right[night])
    return str(tally), tally.violations


def _undisturbed(place: Path) -> tuple[list[str], float]:
    """Run both nights into another folder; return their tables and how long the first took."""
    right, durations = [], []
    for night in NIGHTS:
        began = time.monotonic()
        done = serve(place, night, place / "right")
        durations.append(time.monotonic() - began)
        if done.returncode not in {0, 3}:
            raise RuntimeError(f"the undisturbed run failed: {done.stderr}")
        right.append(digest_of(place / "right"))
    return right, max(durations)


def _kill(place: Path, night: str, after: float) -> bool:
    """Start a run and kill it after so many seconds; say whether it was still there."""
    process = subprocess.Popen(
        command(place, night),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode == -signal.SIGKILL


def _look(output: Path, tally: KillTally) -> str:
    try:
        return digest_of(output)
    except PersonalmError as error:
        if "nothing is published" not in str(error) and "no output folder" not in str(error):
            tally.violations.append(f"kill {tally.num_kills}: the reader fails: {error}")
        return ""


def _num_units(output: Path) -> int:
    if not (output / "_personalm.json").exists():
        return 0
    unfinished = status(output)["unfinished"]
    return int(unfinished["units"]) if unfinished else 0


def _finish(place: Path, night: str, tally: KillTally, right: str) -> None:
    output = place / "out"
    journalled = 0
    if (output / "_personalm.json").exists() and _look(output, tally) != right:
        unfinished = status(output)["unfinished"]
        journalled = unfinished["rows"] if unfinished else 0
    done = serve(place, night)
    if done.returncode not in {0, 3}:
        tally.violations.append(f"the last run fails: {done.stderr[-300:]}")
        return
    resumed = status(output)["run"]["resumed"]
    if resumed != journalled:
        tally.violations.append(f"{journalled} requests were journalled, {resumed} were resumed")
    _check_end(output, tally, right)


def _check_end(output: Path, tally: KillTally, right: str) -> None:
    tally.num_ends += 1
    if digest_of(output) != right:
        tally.violations.append("the end is not that of an undisturbed run")
    tally.violations += verify(output)
    tally.violations += [f"{name} stays" for name in find_leftovers(output)]


_TEXTS = tuple(
    f"{verb} the {thing} by the {place} again, and the light was good."
    for verb in ("Mended", "Rode", "Painted", "Lost")
    for thing in ("old bike", "kettle", "blue boat")
    for place in ("harbour", "library", "station")
)
