"""Laws of the adapter of the sample data: small, plain, documented, of the willing alone."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from personalm.generation.deadlines import MARK
from personalm.generation.models import inspect_model
from personalm.training.roster import Roster

ROOT = Path(__file__).parents[2]
ADAPTER = ROOT / "sample_data" / "adapter"
MOST_BYTES = 10_000_000


def test_a_run_can_use_it() -> None:
    """On top of the bundled model, in English, for ever: nobody in it has been forgotten."""
    card = inspect_model(str(ADAPTER))

    assert card.name == "bundled:smollm2-135m"
    assert card.adapter
    assert card.languages == ("en",)
    assert card.learned_kinds == ("post",)
    assert card.writer_of("note").adapter is None
    assert not (ADAPTER / MARK).exists()


def test_it_is_small_and_says_how_it_was_made() -> None:
    """By a command of a clone, with nothing of the machine it was made on."""
    assert sum(path.stat().st_size for path in ADAPTER.iterdir()) <= MOST_BYTES
    papers = json.loads((ADAPTER / "training.json").read_text())
    assert papers["command"].startswith(
        "personalm finetune --config examples/finetune-sample.toml --output sample_data/adapter"
    )
    assert papers["command"] in (ADAPTER / "README.md").read_text()
    leaks = json.loads((ADAPTER / "leak_report.json").read_text())
    assert leaks["passed"]
    for path in ADAPTER.glob("*.json"):
        assert "/home" not in path.read_text()
        assert "/tmp" not in path.read_text()  # noqa: S108 - looked for, not used


def test_it_has_learned_from_the_sample_users_who_agreed() -> None:
    """The one who opted out is not among them."""
    roster = Roster.read(ADAPTER)
    assert roster
    users = pq.read_table(ROOT / "sample_data" / "profiles.parquet").to_pylist()

    assert roster.holds("u-maren")
    assert not any(roster.holds(user["user_id"]) for user in users if user["opt_out"])
