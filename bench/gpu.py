"""Time the engine on a GPU beside transformers' `generate`: `python -m bench.gpu`.

The workload is `w1`: a GPT-2 of 124 million random weights, prompts of 60 to 200 tokens, four
candidates of 48 tokens. Everything runs in one process on one card, one setting after the other,
each after a round that is not counted, in which steps are recorded. It prints the card, the speeds
and the ratios, and writes bench-output/gpu.json. With `--profile` it prints where the card's time
goes instead.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from bench.systems import open_system
from bench.workloads import FOLDER, Workload, make_workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.systems import System
    from personalm.records import Prompt

_CANDIDATES = 4
_LONGEST = 200
_NEW = 48
_GROUPS = 2
_LEAST_ROWS = 256


def main() -> None:
    """Time all settings, or profile one group."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--rows", default="64,256,1024,2048", help="candidates at a time")
    parser.add_argument("--generate", default="32,256,1024", help="the same of `generate`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--penalties", action="store_true", help="sample as the shipped templates do"
    )
    parser.add_argument("--profile", type=int, metavar="ROWS", help="profile this many rows")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is here")
    FOLDER.mkdir(exist_ok=True)
    print(card(), flush=True)
    if options.profile:
        profile(options.profile)
        return
    systems = [
        time_setting(name, rows, setting, options)
        for name, rows, setting in settings_of(options.rows, options.generate)
    ]
    report: dict[str, Any] = {"card": card(), "torch": torch.__version__, "systems": systems}
    report |= compare(systems)
    (FOLDER / "gpu.json").write_text(json.dumps(report, indent=1))


def settings_of(rows: str, generate: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield systems with their candidates at a time and their settings."""
    common = {"dtype": "bfloat16", "threads": 4, "device": "cuda"}
    for number in map(int, rows.split(",")):
        room = number // _CANDIDATES * (_LONGEST + _CANDIDATES * _NEW)
        for captures in (True, False):
            yield "personalm", number, {**common, "max_batch_tokens": room, "captures": captures}
    for number in map(int, generate.split(",")):
        yield (
            "generate",
            number,
            {**common, "batch": number // _CANDIDATES, "attention": "sdpa"},
        )


def time_setting(
    name: str, rows: int, setting: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the speed of a system, tokens a second, and what it took of the card's memory."""
    workload = make_workload("w1", num_prompts=max(_GROUPS * rows, _LEAST_ROWS) // _CANDIDATES)
    if options.penalties:
        workload = replace(workload, prompts=tuple(map(_penalise, workload.prompts)))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with open_system(name, workload, setting) as system:
        system(workload.prompts)
        speeds = [_time(system, workload) for _ in range(options.rounds)]
    result = {
        "name": name,
        "rows": rows,
        "captures": setting.get("captures"),
        "tokens_per_s": round(statistics.median(speeds)),
        "low": round(min(speeds)),
        "high": round(max(speeds)),
        "peak_mb": round(torch.cuda.max_memory_reserved() / 2**20),
    }
    print(result, flush=True)
    return result


def _penalise(prompt: Prompt) -> Prompt:
    sampling = replace(
        prompt.sampling, top_k=40, top_p=0.9, repetition_penalty=1.1, no_repeat_ngram=3
    )
    return replace(prompt, sampling=sampling)


def _time(system: System, workload: Workload) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    num_tokens = system(workload.prompts)
    torch.cuda.synchronize()
    return num_tokens / (time.perf_counter() - began)


def compare(systems: list[dict[str, Any]]) -> dict[str, Any]:
    """Print and return how many times faster the best of ours is than each of theirs."""
    ours = max((s["tokens_per_s"] for s in systems if s["captures"]), default=0)
    theirs = {s["rows"]: s["tokens_per_s"] for s in systems if s["name"] == "generate"}
    ratios = {f"{rows} rows": round(ours / speed, 2) for rows, speed in theirs.items()}
    print(f"best: {ours} tokens/s; over generate at {ratios}", flush=True)
    return {"best": ours, "ratio_over_generate": ratios}


def card() -> str:
    """Return the card, its memory and its driver."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    return done.stdout.strip() or torch.cuda.get_device_name()


def profile(rows: int) -> None:
    """Print the kernels of a group of so many rows by their time, and the program's share."""
    workload = make_workload("w1", num_prompts=rows // _CANDIDATES)
    _, _, setting = next(settings_of(str(rows), "4"))
    with open_system("personalm", workload, setting) as system:
        system(workload.prompts)
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profiler:
            began = time.perf_counter()
            system(workload.prompts)
            torch.cuda.synchronize()
            seconds = time.perf_counter() - began
    print(f"{rows} rows: {seconds:.3f} s under the profiler")
    print(
        profiler.key_averages().table(
            sort_by="cuda_time_total", row_limit=40, max_name_column_width=70
        )
    )


if __name__ == "__main__":
    main()
