"""One timed run of one system in a process of its own: `python -m bench.timing JSON`.

Threads and memory are then those of this system alone. It prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

_NUM_WARM_UP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is run: a system in one setting, on so many prompts of a workload."""

    system: str
    workload: str
    num_prompts: int
    setting: dict[str, Any]

    @property
    def label(self) -> str:
        """The setting in words."""
        named = {key: value for key, value in self.setting.items() if key != "dtype"}
        return ", ".join(f"{value} {key}" for key, value in named.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a run took; memory is the process's peak, in megabytes."""

    num_tokens: int
    num_prompt_tokens: int
    seconds: float
    peak_mb: float

    @property
    def tokens_per_s(self) -> float:
        """Tokens drawn a second; prompts are read within that time."""
        return self.num_tokens / self.seconds


def time_in_process(trial: Trial) -> Timing | str:
    """Run a trial in a child; return its timing, or the last line of what went wrong."""
    threads = str(trial.setting.get("threads", 1))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    done = subprocess.run(  # noqa: S603 - this very module
        [sys.executable, "-m", "bench.timing", json.dumps(asdict(trial))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no output"])[-1][:160]
    return Timing(**json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    """Open the system, warm it up, time it."""
    from bench.systems import open_system  # noqa: PLC0415 - the parent needs none of it
    from bench.workloads import make_workload  # noqa: PLC0415 - the same

    trial = Trial(**json.loads(sys.argv[1]))
    workload = make_workload(trial.workload, num_prompts=trial.num_prompts)
    with open_system(trial.system, workload, trial.setting) as write:
        write(workload.prompts[:_NUM_WARM_UP])
        began = time.perf_counter()
        num_tokens = write(workload.prompts)
        seconds = time.perf_counter() - began
    timing = Timing(
        num_tokens=num_tokens,
        num_prompt_tokens=workload.num_prompt_tokens,
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
    print(json.dumps(asdict(timing)))


if __name__ == "__main__":
    main()
