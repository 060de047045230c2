"""Live through many histories: `python -m tests.life [--examples N] [--steps N] [--plant NAME]`.

Ends with exit code 1 and the shortest history found that breaks a promise, if there is one.
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.life.machine import Life
from tests.life.plants import PLANTS, planted


def main() -> int:
    """Run the state machine with a seed; print how many histories it took."""
    parser = argparse.ArgumentParser(prog="python -m tests.life", description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="histories to try")
    parser.add_argument("--steps", type=int, default=30, help="steps of each at the most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plant", choices=PLANTS, help="take this guard out first")
    parser.add_argument("--as-found", action="store_true", help="do not look for a shorter one")
    options = parser.parse_args()
    # What is said of leftovers after a fault is as it should be.
    logging.disable(logging.WARNING)
    phases = [Phase.generate, *([] if options.as_found else [Phase.shrink])]
    profile = settings(
        max_examples=options.examples,
        stateful_step_count=options.steps,
        phases=phases,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    num_lives = 0
    is_broken = False

    class Counted(Life):
        def __init__(self) -> None:
            nonlocal num_lives
            num_lives += not is_broken
            super().__init__()

        def teardown(self) -> None:
            nonlocal is_broken
            # Hypothesis ends a history that is of no use to it with an exception of its own.
            is_broken |= isinstance(sys.exc_info()[1], Exception)
            super().teardown()

    print(f"seed {options.seed}, plant {options.plant or 'none'}", flush=True)
    try:
        with planted(options.plant):
            run_state_machine_as_test(seed(options.seed)(Counted), settings=profile)
    except Exception:  # noqa: BLE001 - whatever it is, it is the finding
        traceback.print_exc()
        print(f"life: broken in history {num_lives}")
        return 1
    print(f"life: {num_lives} histories, 0 violations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
