"""Laws of the gates on labelled texts, and on texts that real people wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from personalm.selection.gates import _MAKERS
from tests.selection.labelled import GATES, score
from tests.selection.real_texts import count_drops

FLOORS = {
    "banned": (0.95, 1.0),
    "copy": (1.0, 0.9),
    "echo": (1.0, 0.85),
    "empty": (1.0, 1.0),
    "facts": (0.95, 1.0),
    "language": (1.0, 1.0),
    "leak": (1.0, 1.0),
    "length": (1.0, 1.0),
    "loop": (1.0, 0.9),
    "missing_facts": (1.0, 1.0),
    "off_subject": (1.0, 1.0),
    "personal_data": (1.0, 1.0),
    "required": (1.0, 1.0),
    "unfinished": (0.9, 1.0),
    "ungrounded": (0.8, 1.0),
}
"""Precision and recall that each gate keeps; `docs/quality.md` has the figures."""

MAX_FALSE_DROPS = 0.05


def test_every_gate_has_labelled_texts() -> None:
    """Fifteen of each sort at the least."""
    assert set(GATES) == set(_MAKERS) == set(FLOORS)
    for name in GATES:
        found = score(name)
        assert min(found.num_drop, found.num_pass) >= 15, name


@pytest.mark.parametrize("name", GATES)
def test_a_gate_tells_most_labelled_texts_apart(name: str) -> None:
    """Its figures do not fall below its floors; what it got wrong is shown."""
    found = score(name)
    precision, recall = FLOORS[name]
    assert found.precision >= precision, found.wrongly_dropped
    assert found.recall >= recall, found.missed


def test_few_texts_of_real_people_are_dropped() -> None:
    """Tried on real chat, where the folder of real data is named by PERSONALM_DATA."""
    path = Path(os.environ.get("PERSONALM_DATA", "/nonexistent")) / "irc/interactions.parquet"
    if not path.exists():
        pytest.skip("PERSONALM_DATA names no folder with irc/")
    drops = count_drops(path)
    assert drops.num_texts == 200
    assert drops.num_dropped / drops.num_texts < MAX_FALSE_DROPS, drops
