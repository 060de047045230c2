"""Laws of the tiers."""

from __future__ import annotations

import pytest

from personalm.planning.tiers import tier_of


@pytest.mark.parametrize(
    ("num_texts", "tier"),
    [(0, "0"), (1, "1-4"), (4, "1-4"), (5, "5-19"), (19, "5-19"), (20, "20+"), (10**6, "20+")],
)
def test_each_number_of_texts_has_its_tier(num_texts: int, tier: str) -> None:
    """The bounds belong to the tier that names them."""
    assert tier == tier_of(num_texts)
