"""Laws of acquaintance: a model that has seen the answers is said to have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from personalm.evaluation.acquaintance import Acquaintance
from personalm.generation.adapters import PROVENANCE
from personalm.records import ModelCard
from personalm.training.roster import ROSTER, Roster

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = ("ada", "bob", "cem")


def publish(folder: Path, users: tuple[str, ...], training: object) -> str:
    """Write the papers of a model that has learned from some users; return its name."""
    folder.mkdir()
    (folder / ROSTER).write_bytes(Roster.of(users).to_json())
    (folder / PROVENANCE).write_text(json.dumps({"settings": training}))
    return str(folder)


def ask(name: str, adapter: str | None = None) -> Acquaintance | None:
    """Return what the papers of a model say of the people."""
    card = ModelCard(name=name, digest="0", max_positions=8, adapter=adapter)
    return Acquaintance.of(card, PEOPLE)


@pytest.mark.parametrize(
    ("users", "training", "expected"),
    [
        (
            ("ada", "eve"),
            {"training": {"spares_held_out": False}},
            Acquaintance(people=1, held_out_too=True),
        ),
        (
            ("ada", "bob"),
            {"training": {"spares_held_out": True}},
            Acquaintance(people=2, held_out_too=False),
        ),
        (
            ("eve",),
            {"training": {"spares_held_out": False}},
            Acquaintance(people=0, held_out_too=False),
        ),
        (("ada",), {"training": {}}, Acquaintance(people=1, held_out_too=True)),
        (("ada",), "damaged", Acquaintance(people=1, held_out_too=True)),
        (("ada",), None, Acquaintance(people=1, held_out_too=True)),
    ],
)
def test_the_papers_say_who_was_learned_from_and_how(
    tmp_path: Path, users: tuple[str, ...], training: object, expected: Acquaintance
) -> None:
    """Where they do not say that held-out texts were spared, they were not."""
    assert ask(publish(tmp_path / "model", users, training)) == expected


def test_the_base_of_an_adapter_is_asked_too(tmp_path: Path) -> None:
    """Whom either has learned from counts once; one that has seen the answers is enough."""
    base = publish(tmp_path / "base", ("ada", "bob"), {"training": {}})
    adapter = publish(tmp_path / "lora", ("bob", "cem"), {"training": {"spares_held_out": True}})

    assert ask(base, adapter) == Acquaintance(people=3, held_out_too=True)
    assert ask("bundled:base", adapter) == Acquaintance(people=2, held_out_too=False)


def test_of_other_models_nothing_is_known(tmp_path: Path) -> None:
    """A bundled one, one from the hub, a folder without papers."""
    for name in ("scripted", "bundled:smollm2-135m", "someone/gpt2", str(tmp_path)):
        assert ask(name) is None
