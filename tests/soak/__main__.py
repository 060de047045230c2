"""Long trials of the real command: `python -m tests.soak [--kills N] [--seed S] ...`.

Random kills of runs and trainings, readers beside a writer, two runs at once, and full disks.
Each prints one line; the exit code is 1 where one of them has found a violation. A number of 0
leaves a trial out.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from tests.conftest import make_tiny_gpt2
from tests.soak.full_disk import fill_disks
from tests.soak.kills import kill_at_random
from tests.soak.races import race_readers, race_runs
from tests.training.kills import kill_trainings
from tests.training.world import make_people, write_config

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders in it get names of their own

_SHOWN = 20
"""Violations of a trial that are printed in words."""

Trial: TypeAlias = "Callable[[Path], tuple[str, list[str]]]"


def main() -> int:
    """Run the trials that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trainings", type=int, default=20, help="trainings that are killed")
    parser.add_argument("--users", type=int, default=48, help="users of a run that is killed")
    parser.add_argument("--scripted", action="store_true", help="kill runs without a model")
    parser.add_argument("--snapshots", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # Those that fork come first: the model that is killed brings torch, and its threads.
    trials: tuple[tuple[int, Trial], ...] = (
        (options.rounds, partial(race_runs, num_rounds=options.rounds, seed=options.seed)),
        (options.steps, partial(fill_disks, num_steps=options.steps)),
        (options.snapshots, partial(race_readers, num_snapshots=options.snapshots)),
        (
            options.kills,
            partial(
                kill_at_random,
                num_kills=options.kills,
                num_users=options.users,
                is_scripted=options.scripted,
                seed=options.seed,
            ),
        ),
        (
            options.trainings,
            partial(_kill_trainings, num_kills=options.trainings, seed=options.seed),
        ),
    )
    num_violations = 0
    for size, trial in trials:
        if size:
            memory = _MEMORY if _MEMORY.is_dir() else None
            with TemporaryDirectory(prefix="soak-", dir=memory) as folder:
                line, violations = trial(Path(folder))
            for violation in violations[:_SHOWN]:
                print(violation[:600])
            print(line, flush=True)
            num_violations += len(violations)
    print(f"soak: {num_violations} violations")
    return 1 if num_violations else 0


def _kill_trainings(place: Path, *, num_kills: int, seed: int) -> tuple[str, list[str]]:
    """Kill so many trainings; compare what they publish with an undisturbed one."""
    model = make_tiny_gpt2(place / "base", [text for p in make_people() for text in p.texts])
    config = write_config(place / "in", model.folder)
    tally = kill_trainings(config, place, num_kills=num_kills, seed=seed)
    return str(tally), tally.violations


if __name__ == "__main__":
    sys.exit(main())
