"""Random noise as a function: of who is written for, which candidate, which step, which token.

A random number generator would give a candidate other numbers in other company. Here the noise of
a token is a hash, equal in any batch, slot and order, and adding it to log probabilities makes the
largest one a sample of them (the Gumbel trick). The hash of a row is SHA-256; steps and tokens
are mixed in by SplitMix64, in int64 arithmetic that wraps around, alike on CPU and GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from personalm.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from personalm.records import Key

# The constants of SplitMix64, as signed 64-bit integers.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64


def row_seeds(seed: int, key: Key, draw: int, numbers: Iterable[int]) -> list[int]:
    """Return one signed 64-bit seed for each candidate number."""
    name = [seed, key.user_id, key.kind, key.subject_id, draw]
    return [
        int.from_bytes(bytes.fromhex(digest([*name, number])[:16]), "big", signed=True)
        for number in numbers
    ]


def gumbel(row_seeds: Tensor, step: Tensor, token_ids: Tensor) -> Tensor:
    """Return standard Gumbel noise, always finite, as float64.

    Shapes: `row_seeds` (rows), `step` () or (1), `token_ids` (rows, k), all int64; the result
    (rows, k).
    """
    streams = _mix(row_seeds + (step + 1) * _GAMMA)
    bits = _mix(streams.unsqueeze(-1) + (token_ids + 1) * _GAMMA)
    # 52 bits and a half: exact in float64, never 0 and never 1.
    uniform = (_shift(bits, 12).double() + 0.5) * 2.0**-52
    return -torch.log(-torch.log(uniform))


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * _MIX_1
    value = (value ^ _shift(value, 27)) * _MIX_2
    return value ^ _shift(value, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros; the operator of a signed type fills with the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
