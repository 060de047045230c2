"""Laws of the probe: a number format is taken because it was measured to be faster."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import torch

from personalm.generation import probe
from personalm.generation.loading import find_dtype
from personalm.generation.probe import is_bfloat16_faster, multiplies_bfloat16

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _measure_anew() -> Iterator[None]:
    is_bfloat16_faster.cache_clear()
    yield
    is_bfloat16_faster.cache_clear()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512_bf16 sse", True),
        ("fpu amx_bf16", True),
        ("fp asimd bf16", True),
        ("fpu", False),
    ],
)
def test_bfloat16_is_chosen_where_the_processor_multiplies_it(
    tmp_path: Path, flags: str, *, expected: bool
) -> None:
    """Emulated it is slower than float32."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")

    assert multiplies_bfloat16(cpuinfo) is expected
    assert not multiplies_bfloat16(tmp_path / "missing")


@pytest.mark.parametrize(("half", "expected"), [(250.0, torch.bfloat16), (110.0, torch.float32)])
def test_bfloat16_must_be_clearly_faster(
    half: float,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is less exact; both figures are said, once a process."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(probe, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(probe, "_rate", lambda dtype: half if dtype == torch.bfloat16 else 100.0)

    assert find_dtype("auto", CPU) == find_dtype("auto", CPU) == expected
    assert f"100 GFLOP/s in float32 and {half:.0f} in bfloat16" in caplog.text
    assert caplog.text.count("GFLOP/s") == 1


def test_what_a_processor_says_of_itself_is_measured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever this one is told to have: the answer is the one that its figures give."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(probe, "multiplies_bfloat16", lambda: True)
    rates = {}
    measure = probe._rate

    def note(dtype: torch.dtype) -> float:
        rates[dtype] = measure(dtype)
        return rates[dtype]

    monkeypatch.setattr(probe, "_rate", note)

    assert is_bfloat16_faster() is (rates[torch.bfloat16] >= 1.2 * rates[torch.float32])
    assert all(rate > 0.0 for rate in rates.values())


def test_without_instructions_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Emulated products are slow, that is known; a format that is asked for is taken as it is."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(probe, "multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(probe, "_rate", lambda _: pytest.fail("measured"))

    assert find_dtype("auto", CPU) == torch.float32
    assert "no instructions for bfloat16" in caplog.text
    assert find_dtype("bfloat16", CPU) == torch.bfloat16
    assert find_dtype("float32", CPU) == torch.float32
