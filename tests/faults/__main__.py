"""Run the n-th failure loop and the trials: `python -m tests.faults [--plant NAME]`.

Every operation (see `tests.faults.operations`) fails at each of its file calls in each mode (see
`tests.faults.modes`); one time in three it fails once more in the run that cleans up. The last
line tells the number of faulted runs and of violations; the exit code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from personalm.errors import PersonalmError
from tests.faults.loop import Loop, Tally
from tests.faults.modes import MODES, Mode
from tests.faults.operations import WorldError, known_operations
from tests.faults.plants import PLANTS, TRIALS, planted
from tests.faults.trials import try_all

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders in it get names of their own

_SHOWN = 20
"""Violations that are printed in words."""


def main() -> int:
    """Run all, in as many processes as asked for; print the tally."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        epilog=f"operations: {', '.join(operation.name for operation in known_operations())}. "
        f"modes: {', '.join(mode.name for mode in MODES)}.",
    )
    parser.add_argument("--plant", choices=PLANTS, help="take this guard out first")
    parser.add_argument("--each-plant", action="store_true", help="see that every plant is found")
    parser.add_argument(
        "--every", type=int, metavar="N", help="fail at every n-th call only (1; with a plant 9)"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="where to begin, and what fails while cleaning up (0)"
    )
    options = parser.parse_args()
    if options.each_plant:
        return find_plants(seed=options.seed)
    # A guard that is gone shows soon: the whole loop is for the guards that are there.
    every = options.every or (9 if options.plant else 1)
    print(f"seed {options.seed}, every {every}, plant {options.plant or 'none'}", flush=True)
    with planted(options.plant):
        tally = run_all(every=every, seed=options.seed, jobs=options.jobs)
    for violation in tally.violations[:_SHOWN]:
        print(violation[:400])
    print(f"faults: {tally.num_runs} runs, {len(tally.violations)} violations")
    return 1 if tally.violations else 0


def run_all(*, every: int, seed: int, jobs: int) -> Tally:
    """Run the loop of every operation, and the trials."""
    names = [TRIALS, *(operation.name for operation in known_operations())]
    whole = Tally()
    # Workers are forked, so that what is planted here is planted there.
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as workers:
        parts = {workers.submit(run_part, name, every=every, seed=seed): name for name in names}
        for part in as_completed(parts):
            tally = part.result()
            found = len(tally.violations)
            print(f"{parts[part]}: {tally.num_runs} runs, {found} violations", flush=True)
            whole.num_runs += tally.num_runs
            whole.violations += tally.violations
    return whole


def run_part(
    name: str,
    *,
    every: int,
    seed: int,
    modes: Sequence[Mode] = MODES,
    until_found: bool = False,
) -> Tally:
    """Run the loop of one operation, or the trials."""
    tally = Tally()
    memory = _MEMORY if _MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="faults-", dir=memory) as folder:
        place = Path(folder)
        try:
            if name == TRIALS:
                for trial, violation in try_all(place):
                    tally.num_runs += violation is None
                    tally.violations += [f"{trial}: {violation}"] if violation else []
            else:
                operation = next(o for o in known_operations() if o.name == name)
                loop = Loop(operation, place, tally, seed=seed)
                for mode in modes:
                    loop.run(mode, every=every, until_found=until_found)
                    print(f"{name}, {mode.name}: {tally.num_runs} runs so far", flush=True)
        except (WorldError, PersonalmError) as error:
            # With a guard taken out, even the world before the operation can be wrong.
            tally.violations.append(f"{name}: {error}")
    return tally


def find_plants(*, seed: int) -> int:
    """Take every guard out in turn, where it shows soonest; return 1 where one is not missed."""
    missed = 0
    for name, plant in PLANTS.items():
        modes = [mode for mode in MODES if mode.name in plant.modes]
        with planted(name):
            tally = run_part(plant.part, every=1, seed=seed, modes=modes, until_found=True)
        missed += not tally.violations
        print(f"{name}: {len(tally.violations)} violations", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
