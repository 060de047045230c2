"""Random kills of the real command while it trains a tiny GPT-2.

It is started again and again. The first kill comes when a checkpoint is complete, however fast or
slow the machine is; the others at times drawn at random, half of them while steps are done.
What it publishes in the end is compared with an undisturbed training, weight for weight.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.generation.models import inspect_model
from personalm.hashing import digest_file

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

_TRAINING = "training: "
_SECONDS = 240.0


@dataclass(slots=True, kw_only=True)
class TrainingKills:
    """What came of the kills."""

    num_kills: int = 0
    num_in_training: int = 0
    num_resumed: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"trainings: {self.num_kills} kills, {self.num_in_training} between steps, "
            f"{self.num_resumed} went on at a checkpoint, {len(self.violations)} violations"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """One process: whether it was killed, its messages, and the time its steps took."""

    was_killed: bool
    messages: str
    seconds: float
    training_seconds: float


def kill_trainings(config: Path, place: Path, *, num_kills: int, seed: int) -> TrainingKills:
    """Kill so many trainings by one configuration; let the last one end."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    tally = TrainingKills()
    right = place / "right"
    undisturbed = _train(config, right, place / "right.log")
    if undisturbed.was_killed or not right.is_dir():
        tally.violations.append(f"undisturbed: {undisturbed.messages[-500:]}")
        return tally
    output = place / "model"
    while tally.num_kills < num_kills:
        log = place / "killed.log"
        in_training = tally.num_kills % 2 == 0
        if tally.num_kills == 0:
            ended = _train(config, output, log, delay=0.0, after=partial(_has_checkpoint, output))
        elif in_training:
            delay = chance.uniform(0, undisturbed.training_seconds)
            ended = _train(config, output, log, delay=delay, after=partial(_is_training, log))
        else:
            ended = _train(config, output, log, delay=chance.uniform(0, undisturbed.seconds))
        tally.num_resumed += "going on after step" in ended.messages
        if not ended.was_killed:
            _compare(output, right, tally)
            subprocess.run(["rm", "-r", str(output)], check=True)
            continue
        tally.num_kills += 1
        tally.num_in_training += in_training
        if output.exists():
            _compare(output, right, tally)
            subprocess.run(["rm", "-r", str(output)], check=True)
    ended = _train(config, output, place / "last.log")
    tally.num_resumed += "going on after step" in ended.messages
    _compare(output, right, tally)
    left = [path.name for path in place.iterdir() if path.name.startswith(".model")]
    if left:
        tally.violations.append(f"left behind: {left}")
    return tally


def _compare(output: Path, right: Path, tally: TrainingKills) -> None:
    """Note what is not as it would be without kills."""
    try:
        inspect_model(str(output))
        for name in ("model.safetensors", "config.json", "tokenizer.json", "leak_report.json"):
            if digest_file(output / name) != digest_file(right / name):
                tally.violations.append(f"kill {tally.num_kills}: another {name}")
    except Exception as error:  # noqa: BLE001 - whatever it is, a reader would have met it
        tally.violations.append(f"kill {tally.num_kills}: {error}")


def _is_training(log: Path) -> bool:
    return _TRAINING in log.read_text()


def _has_checkpoint(output: Path) -> bool:
    marks = f".{output.name}.training/checkpoints/*/complete.json"
    return any(output.parent.glob(marks))


def _train(
    config: Path,
    output: Path,
    log: Path,
    *,
    delay: float | None = None,
    after: Callable[[], bool] | None = None,
) -> _Ended:
    """Run the command; kill it so many seconds after its start, or after something is true."""
    arguments = ["finetune", "--config", str(config), "--output", str(output)]
    began = time.monotonic()
    with log.open("w") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "personalm", *arguments],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )
        if delay is None:
            after = partial(_is_training, log)
        training = _wait(process, after) if after is not None else began
        if delay is not None:
            _wait(process, lambda: time.monotonic() - training >= delay)
            process.kill()
        else:
            _wait(process, lambda: "measuring what was learned" in log.read_text())
        trained = time.monotonic()
        code = process.wait(timeout=_SECONDS)
    return _Ended(
        was_killed=code == -signal.SIGKILL,
        messages=log.read_text(),
        seconds=time.monotonic() - began,
        training_seconds=trained - training,
    )


def _wait(process: subprocess.Popen[bytes], is_time: Callable[[], bool]) -> float:
    """Wait for something to come true, or for the end; return the time."""
    until = time.monotonic() + _SECONDS
    while process.poll() is None and not is_time() and time.monotonic() < until:
        time.sleep(0.01)
    return time.monotonic()
