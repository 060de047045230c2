"""The probe: which number format this processor multiplies faster, measured once a process.

Instructions for bfloat16 may be there and still be slow. What was measured is said in the log.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from personalm.generation.linears import PackedLinear, can_pack

# Processors with these multiply bfloat16 in hardware; on others it is emulated.
_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})

_MIN_GAIN = 1.2
"""bfloat16 is less exact: it must be this many times as fast to be taken."""

_ROWS, _WIDTH = 64, 1_024
_SECONDS = 0.25

_log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def is_bfloat16_faster() -> bool:
    """Tell whether models are to run in bfloat16 on this processor, with the threads of now."""
    if not multiplies_bfloat16():
        _log.info("this processor has no instructions for bfloat16: float32 it is")
        return False
    single, half = _rate(torch.float32), _rate(torch.bfloat16)
    is_faster = half >= _MIN_GAIN * single
    _log.info(
        "this processor does %.0f GFLOP/s in float32 and %.0f in bfloat16: %s it is",
        *(single, half, "bfloat16" if is_faster else "float32"),
    )
    return is_faster


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether this processor has instructions for bfloat16."""
    try:
        return not _FLAGS.isdisjoint(cpuinfo.read_text(encoding="utf-8").split())
    except OSError:
        return False


@torch.inference_mode()
def _rate(dtype: torch.dtype) -> float:
    """Return the billions of operations a second of a product as an engine makes it, at best."""
    numbers = torch.linspace(-1.0, 1.0, _WIDTH * _WIDTH).view(_WIDTH, _WIDTH).to(dtype)
    rows = numbers[:_ROWS]
    layer = PackedLinear(numbers, None) if can_pack("floating", dtype) else _plain(numbers)
    layer(rows)
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        start = time.perf_counter()
        layer(rows)
        best = min(best, time.perf_counter() - start)
    return 2 * _ROWS * _WIDTH * _WIDTH / best / 1e9


def _plain(weight: torch.Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], len(weight), bias=False, dtype=weight.dtype)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer
