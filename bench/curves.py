"""What the engine costs over the size of a batch, the length of prompts, the number of candidates.

    python -m bench.curves           # or: make curves

Each point is a process of its own on the random GPT-2 of the comparison; tokens a second count new
tokens, memory is the peak. Written to bench-output/curves.json.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from bench.timing import Timing, Trial, time_in_process
from bench.workloads import FOLDER, make_workload

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOM = 65_536
_PLAIN_LENGTH, _PLAIN_NUMBER = 130, 4


def main() -> None:
    """Print a line a point."""
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__)
    parser.add_argument("--dtype", default="bfloat16", help="float32, bfloat16 or int8")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (2)")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    make_workload("w1", num_prompts=1)
    points = []
    for curve, value, workload, num_prompts in points_of():
        setting = {
            "dtype": options.dtype,
            "threads": options.threads,
            "max_batch_tokens": _ROOM,
        }
        timing = time_in_process(
            Trial(system="personalm", workload=workload, num_prompts=num_prompts, setting=setting)
        )
        point: dict[str, Any] = {"curve": curve, "value": value, "dtype": options.dtype}
        if isinstance(timing, Timing):
            speed = round(timing.tokens_per_s, 1)
            point |= {"tokens_per_s": speed, "peak_mb": round(timing.peak_mb)}
            print(f"{curve:<22}{value:>6}{speed:>9} tokens/s{timing.peak_mb:>8.0f} MB", flush=True)
        else:
            point["error"] = timing
            print(f"{curve:<22}{value:>6}  {timing}", flush=True)
        points.append(point)
    (FOLDER / "curves.json").write_text(json.dumps(points, indent=1))


def points_of() -> Iterator[tuple[str, int, str, int]]:
    """Yield the name of a curve, the value on it, the workload and its number of prompts."""
    plain = f"{_PLAIN_LENGTH}x{_PLAIN_NUMBER}"
    for num_rows in (4, 16, 32, 64, 128, 256):
        yield "rows at once", num_rows, plain, num_rows // _PLAIN_NUMBER
    for length in (50, 130, 300, 600, 900):
        yield "tokens of a prompt", length, f"{length}x{_PLAIN_NUMBER}", 16
    for number in (1, 4, 8, 16):
        yield "candidates of a prompt", number, f"{_PLAIN_LENGTH}x{number}", 64 // number


if __name__ == "__main__":
    main()
