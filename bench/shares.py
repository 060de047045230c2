"""Where the time of a run with real models goes, by the clock, in a first night and in a later one.

    python -m bench.shares --config personalm.toml --limit 24

In the first night every history text is embedded, and the pool and the leak index are made; in the
second night another seed asks for all texts again. The folder of their results goes afterwards.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.stages import GENERATE, LOAD, Stopwatch, watch_models, watch_run
from personalm import pipeline
from personalm.settings import load_settings


def main() -> None:
    """Print the seconds and the share of each stage, the model's load left out."""
    parser = argparse.ArgumentParser(prog="python -m bench.shares", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("personalm.toml"))
    parser.add_argument("--limit", type=int, help="users (all)")
    options = parser.parse_args()
    stopwatch = Stopwatch(clock=time.perf_counter)
    watch_run(stopwatch)
    watch_models(stopwatch)
    with TemporaryDirectory() as folder:
        for seed, night in enumerate(("first night", "second night")):
            settings = load_settings(options.config, output=folder, seed=seed)
            before = stopwatch.stop()
            summary = pipeline.run(settings, limit=options.limit)
            after = stopwatch.stop()
            spent = {stage: after[stage] - before.get(stage, 0.0) for stage in after}
            print(f"{night}: {summary.counts.generated} requests, {summary.drops.candidates} drawn")
            show(spent)


def show(spent: dict[str, float]) -> None:
    """Print a night."""
    whole = sum(seconds for stage, seconds in spent.items() if stage != LOAD)
    for stage, seconds in sorted(spent.items(), key=lambda each: -each[1]):
        share = "" if stage == LOAD else f"{seconds / whole:6.1%}"
        print(f"  {stage:<28} {seconds:8.2f} s {share}")
    beside = whole - spent.get(GENERATE, 0.0)
    print(f"  {'all but generate':<28} {beside:8.2f} s {beside / whole:6.1%}", flush=True)


if __name__ == "__main__":
    main()
