"""Time the engine beside what people would use instead: `python -m bench.speed`, or `make bench`.

Every system is first tried in several settings on a few prompts. Then the best setting of each
system and number format is timed on all of them, in rounds, one system after the other, each in a
process of its own. Only generated tokens are counted. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from bench.chart import draw_bars
from bench.limits import count_weights, measure_rates, share_of_limit
from bench.timing import Timing, Trial, time_in_process
from bench.workloads import FOLDER, make_workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OUTPUT = FOLDER / "speed.json"
_OURS = "personalm"


def main() -> None:
    """Print a table a workload; write bench-output/speed.json and a chart."""
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--workloads", default="w1,w2,w3", help="of w1, w2, w3 (all)")
    parser.add_argument("--prompts", type=int, default=32, help="prompts of a workload (32)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that are counted (3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each system (2)")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    report: dict[str, Any] = {"matmul_gflops": {}, "workloads": {}}
    for name in options.workloads.split(","):
        make_workload(name, num_prompts=options.prompts)
        rates = measure_rates()
        timings = compare(name, options.prompts, options.rounds, options.threads)
        report["matmul_gflops"] = {key: round(rate / 1e9, 1) for key, rate in rates.items()}
        report["workloads"][name] = summarise(name, timings, rates)
        show(name, report["workloads"][name])
    report |= report["workloads"].get("w1", {})
    OUTPUT.write_text(json.dumps(report, indent=1))
    draw_bars(report["workloads"], FOLDER / "speed.svg")
    print(f"written: {OUTPUT}, {FOLDER / 'speed.svg'}")


def settings_of(threads: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every system with every setting that is tried."""
    for dtype, room in product(("float32", "bfloat16", "int8"), (8_192, 16_384)):
        yield _OURS, {"dtype": dtype, "threads": threads, "max_batch_tokens": room}
    for dtype, batch, attention in product(("float32", "bfloat16"), (4, 8, 16), ("eager", "sdpa")):
        yield (
            "generate",
            {"dtype": dtype, "threads": threads, "batch": batch, "attention": attention},
        )
    yield "generate_batch", {"dtype": "bfloat16", "threads": threads}
    for dtype, batch in product(("float32", "int8"), (8, 16)):
        for workers, each in ((1, threads), (threads, 1)):
            yield (
                "ctranslate2",
                {"dtype": dtype, "workers": workers, "threads": each, "batch": batch},
            )


def compare(
    name: str, num_prompts: int, rounds: int, threads: int
) -> list[tuple[Trial, list[Timing]]]:
    """Return the timings of the best setting of each system and number format."""
    best: dict[tuple[str, str], tuple[float, Trial]] = {}
    for system, setting in settings_of(threads):
        trial = Trial(
            system=system, workload=name, num_prompts=max(8, num_prompts // 4), setting=setting
        )
        timing = time_in_process(trial)
        said = timing if isinstance(timing, str) else f"{timing.tokens_per_s:.0f} tokens/s"
        print(f"  tried {name} {system} {setting['dtype']}, {trial.label}: {said}", flush=True)
        kind = (system, setting["dtype"])
        if isinstance(timing, Timing) and timing.tokens_per_s > best.get(kind, (0.0, trial))[0]:
            best[kind] = (timing.tokens_per_s, trial)
    trials = [replace(trial, num_prompts=num_prompts) for _, trial in best.values()]
    timings: list[list[Timing]] = [[] for _ in trials]
    for _ in range(rounds):
        for trial, found in zip(trials, timings, strict=True):
            timing = time_in_process(trial)
            if isinstance(timing, Timing):
                found.append(timing)
    return [(trial, found) for trial, found in zip(trials, timings, strict=True) if found]


def summarise(
    name: str, timings: list[tuple[Trial, list[Timing]]], rates: dict[str, float]
) -> dict[str, Any]:
    """Return the systems' medians and the ratios between them."""
    weights = count_weights(name)
    systems = []
    for trial, found in timings:
        speeds = [timing.tokens_per_s for timing in found]
        dtype = trial.setting["dtype"]
        shares = [share_of_limit(timing, weights, rates[dtype]) for timing in found]
        systems.append(
            {
                "name": trial.system,
                "setting": trial.label,
                "dtype": dtype,
                "tokens_per_s": round(statistics.median(speeds), 1),
                "low": round(min(speeds), 1),
                "high": round(max(speeds), 1),
                "peak_mb": round(max(timing.peak_mb for timing in found)),
                "share_of_limit": round(statistics.median(shares), 3),
                "timings": [asdict(timing) for timing in found],
            }
        )

    def fastest(system: str, *dtypes: str) -> float:
        speeds = [
            s["tokens_per_s"]
            for s in systems
            if s["name"] == system and (not dtypes or s["dtype"] in dtypes)
        ]
        return max(speeds, default=float("nan"))

    ours = [s for s in systems if s["name"] == _OURS]
    return {
        "systems": systems,
        "ratio_bf16_over_generate_bf16": ratio(
            fastest(_OURS, "bfloat16"), fastest("generate", "bfloat16")
        ),
        "ratio_over_generate": ratio(fastest(_OURS), fastest("generate")),
        "ratio_over_ctranslate2_int8": ratio(
            fastest(_OURS, "int8"), fastest("ctranslate2", "int8")
        ),
        "share_of_limit": {s["dtype"]: s["share_of_limit"] for s in ours},
    }


def ratio(ours: float, theirs: float) -> float | None:
    """Return how many times faster, `None` where one of them did not run."""
    return round(ours / theirs, 2) if ours == ours and theirs == theirs else None  # noqa: PLR0124 - NaN differs from itself


def show(name: str, summary: dict[str, Any]) -> None:
    """Print the table of a workload."""
    print(f"\n{name}: {'system':<16}{'dtype':<10}{'tokens/s':>9}  {'low':>6} {'high':>6} {'MB':>6}")
    systems: Sequence[dict[str, Any]] = summary["systems"]
    for s in sorted(systems, key=lambda system: -system["tokens_per_s"]):
        print(
            f"    {s['name']:<16}{s['dtype']:<10}{s['tokens_per_s']:>9}  "
            f"{s['low']:>6} {s['high']:>6} {s['peak_mb']:>6}  {s['setting']}"
        )
    for key in ("ratio_bf16_over_generate_bf16", "ratio_over_generate"):
        print(f"    {key}: {summary[key]}")
    print(f"    ratio_over_ctranslate2_int8: {summary['ratio_over_ctranslate2_int8']}")
    print(f"    share_of_limit: {summary['share_of_limit']}\n", flush=True)


if __name__ == "__main__":
    main()
