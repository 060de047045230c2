"""Tiers of history: how much of a user's own writing there is to learn from."""

from __future__ import annotations

_TIERS = ((20, "20+"), (5, "5-19"), (1, "1-4"))


def tier_of(num_texts: int) -> str:
    """Name the tier of a user with so many own texts: `0`, `1-4`, `5-19` or `20+`."""
    return next((name for least, name in _TIERS if num_texts >= least), "0")
