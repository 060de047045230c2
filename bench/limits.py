"""How fast this machine could write a workload if it did nothing but multiply.

The work is that of the linear layers: each prompt token passes the blocks once, each new token the
blocks and the output layer; a weight costs two operations a token. The rate is that of the plain
matrix product of the same number format, measured in the same run at 64 and 128 rows, the better
one. Attention, sampling and everything else count as overhead.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.workloads import make_workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.timing import Timing

_INPUTS, _OUTPUTS = 768, 3072
_SECONDS = 1.0


def measure_rates() -> dict[str, float]:
    """Return operations a second of each number format, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.limits"], capture_output=True, text=True, check=True
    )
    rates: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return rates


def count_weights(workload_name: str) -> tuple[int, int]:
    """Return the weights of the blocks' linear layers and of the output layer."""
    import torch  # noqa: PLC0415 - seconds
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415 - the same
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415 - the same

    from personalm.generation.models import find_folder  # noqa: PLC0415 - the same

    model = make_workload(workload_name, num_prompts=1).model
    with torch.device("meta"):
        config = AutoConfig.from_pretrained(find_folder(model))
        network: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # it has none
    output = network.get_output_embeddings()
    linear = [m for m in network.modules() if isinstance(m, (torch.nn.Linear, Conv1D))]
    return sum(m.weight.numel() for m in linear if m is not output), output.weight.numel()


def share_of_limit(timing: Timing, weights: tuple[int, int], rate: float) -> float:
    """Return the part of the time that the products alone would have taken."""
    in_blocks, in_output = weights
    num_new = timing.num_tokens
    work = 2 * in_blocks * (timing.num_prompt_tokens + num_new) + 2 * in_output * num_new
    return work / rate / timing.seconds


def main() -> None:
    """Measure and print one line of JSON."""
    import torch  # noqa: PLC0415 - seconds
    from torch.nn.functional import linear  # noqa: PLC0415 - the same

    from personalm.generation.linears import Int8Linear  # noqa: PLC0415 - the same

    rates: dict[str, float] = {}
    weight = torch.randn(_OUTPUTS, _INPUTS)
    half = weight.bfloat16()
    int8 = Int8Linear(half, None)
    with torch.inference_mode():
        for num_rows in (64, 128):
            rows = torch.randn(num_rows, _INPUTS)
            bytes_ = torch.randint(0, 256, rows.shape, dtype=torch.uint8)
            products: dict[str, Callable[[], object]] = {
                "float32": partial(linear, rows, weight),
                "bfloat16": partial(linear, rows.bfloat16(), half),
                "int8": partial(int8.multiply, bytes_, torch.bfloat16),
            }
            work = 2 * num_rows * _INPUTS * _OUTPUTS
            for name, multiply in products.items():
                rates[name] = max(rates.get(name, 0.0), work / _seconds_each(multiply))
    print(json.dumps(rates))


def _seconds_each(multiply: Callable[[], object]) -> float:
    multiply()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        multiply()
        count += 1
    return (time.perf_counter() - began) / count


if __name__ == "__main__":
    main()
