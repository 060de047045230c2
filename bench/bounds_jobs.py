"""The jobs of `bench.bounds`: `python -m bench.bounds_jobs JOB FOLDER N` is one process.

The last line of the output is the job's report as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.stages import Stopwatch, watch_run
from personalm.progress import LineProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.population import Population
    from personalm.settings import Settings
    from personalm.writing import WrittenUnit

_MB = 1e6


def make(folder: Path, num_users: int) -> dict[str, Any]:
    """Make the tables of some users, where they are not there yet."""
    from bench.population import make_population  # noqa: PLC0415 - runs measure without it

    return {"interactions": make_population(folder, num_users).num_interactions}


def run(folder: Path, num_users: int) -> dict[str, Any]:
    """Run once over the tables of some users, into a new output folder."""
    return _time(_population(folder, num_users), folder / "output")


def hoarder(folder: Path, num_interactions: int) -> dict[str, Any]:
    """Run once over one user who has very many interactions."""
    from bench.population import make_hoarder  # noqa: PLC0415 - the same

    return _time(make_hoarder(folder, num_interactions), folder / "output")


def lookup(folder: Path, num_users: int) -> dict[str, Any]:
    """Write one text for one user, then for another, by the notebook's door."""
    import personalm  # noqa: PLC0415 - what loads with the package counts as well

    population = _population(folder, num_users)
    personalm.generate_for({"user_id": "x", "texts": []}, subject="the model's load", **_FAKES)
    seconds, worked = [], []
    for number in (num_users // 3, num_users // 2):
        began, began_work = time.perf_counter(), time.process_time()
        generation = personalm.generate_for(
            population.user_id(number), **_FAKES, **_inputs(population)
        )
        seconds.append(time.perf_counter() - began)
        worked.append(time.process_time() - began_work)
        assert generation.prompt is not None  # noqa: S101 - the user was found
    return {"seconds": seconds, "processor_seconds_each": worked}


def units(folder: Path, num_units: int) -> dict[str, Any]:
    """Run over so many units of one text each; look at the process on the way."""
    from bench.population import make_population  # noqa: PLC0415 - the same
    from personalm import pipeline  # noqa: PLC0415 - the same

    population = make_population(folder, num_units)
    log = folder / "units.log"
    with log.open("w", encoding="utf-8") as stream:
        logging.basicConfig(stream=stream, level=logging.DEBUG)
        progress = _Marks(log, num_units)
        settings = _settings(population, folder / "output", **{"generation.unit_tokens": 1})
        summary = pipeline.run(settings, progress=progress)
    shutil.rmtree(folder / "output")
    return {"marks": progress.marks, "units": progress.num_finished, **_counts(summary)}


_FAKES: dict[str, Any] = {"model": "scripted", "selection.embedder": "scripted"}


class _Marks(LineProgress):
    """Looks at memory, open files and the log after a tenth, half and all but the end of a run."""

    def __init__(self, log: Path, num_units: int) -> None:
        self._stream_of_log = log.open("a", encoding="utf-8")
        super().__init__(stream=self._stream_of_log)
        self._log = log
        self._at = {num_units // 10, num_units // 2, num_units}
        self.num_finished = 0
        self.marks: list[dict[str, Any]] = []

    def finish_unit(self, written: WrittenUnit) -> None:
        """Count the unit, and look where it is time to."""
        super().finish_unit(written)
        self.num_finished += 1
        self._say(f"unit {self.num_finished} is done")
        if self.num_finished in self._at:
            self.marks.append(
                {
                    "units": self.num_finished,
                    "memory_mb": _resident_mb(),
                    "open_files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names are all
                    "log_bytes": self._log.stat().st_size,
                }
            )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / _MB


def _population(folder: Path, num_users: int) -> Population:
    """Name the tables that `make` has made."""
    from bench.population import Population  # noqa: PLC0415 - the same

    return Population(folder=folder / f"{num_users}-users", num_users=num_users)


def _time(population: Population, output: Path) -> dict[str, Any]:
    shutil.rmtree(output, ignore_errors=True)
    stopwatch = Stopwatch()
    began = time.perf_counter()
    watch_run(stopwatch)
    from personalm import pipeline  # noqa: PLC0415 - its load is timed

    summary = pipeline.run(_settings(population, output))
    seconds = time.perf_counter() - began
    stages = stopwatch.stop()
    shutil.rmtree(output)
    return {
        "users": population.num_users,
        "seconds": seconds,
        "stages": stages,
        **_counts(summary),
    }


def _counts(summary: Any) -> dict[str, Any]:  # noqa: ANN401 - a Summary, loaded late
    return {"results": summary.counts.results, "rejections": summary.counts.rejections}


def _settings(population: Population, output: Path, **overrides: Any) -> Settings:  # noqa: ANN401 - any setting
    from personalm.settings import load_settings  # noqa: PLC0415 - its load is timed

    return load_settings(output=output, **_FAKES, **_inputs(population), **overrides)


def _inputs(population: Population) -> dict[str, Any]:
    return {
        "inputs.profiles": str(population.profiles),
        "inputs.interactions": str(population.interactions),
        "inputs.items": (),
        "inputs.requests": (),
        "generation.languages": ("en",),
    }


JOBS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    job.__name__: job for job in (make, run, hoarder, lookup, units)
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
