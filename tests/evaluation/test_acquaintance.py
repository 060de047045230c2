"""Laws of acquaintance: a model that may have seen the answers is said to have."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest

from personalm.evaluation.acquaintance import Acquaintance
from personalm.records import ModelCard
from personalm.training.roster import ROSTER, Roster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
PEOPLE = {"ada": JUNE, "bob": JUNE, "cem": None}
"""Of Cem nothing that is held out has a time."""


def publish(folder: Path, newest: Mapping[str, date | None]) -> str:
    """Write the list of a model that has learned from some users; return its name."""
    folder.mkdir()
    (folder / ROSTER).write_bytes(Roster.of(newest).to_json())
    return str(folder)


def ask(name: str, adapter: str | None = None) -> Acquaintance | None:
    """Return what the lists of a model say of the people."""
    card = ModelCard(name=name, digest="0", max_positions=8, adapter=adapter)
    return Acquaintance.of(card, PEOPLE)


@pytest.mark.parametrize(
    ("newest", "people", "held_out_too"),
    [
        ({"ada": MAY, "bob": MAY, "eve": JUNE}, 2, 0),
        ({"ada": JUNE, "bob": MAY}, 2, 1),
        ({"ada": None}, 1, 1),
        ({"cem": MAY}, 1, 1),
        ({"eve": JUNE}, 0, 0),
    ],
)
def test_days_tell_whether_the_answers_may_have_been_seen(
    tmp_path: Path, newest: dict[str, date | None], people: int, held_out_too: int
) -> None:
    """What was learned until the day before is no answer; where a day is not known it may be."""
    found = ask(publish(tmp_path / "model", newest))

    assert found == Acquaintance(people=people, held_out_too=held_out_too)


def test_a_list_without_days_tells_nothing_of_them(tmp_path: Path) -> None:
    """Models of older versions have none: they may have seen everything."""
    name = publish(tmp_path / "model", {"ada": MAY, "bob": MAY})
    path = tmp_path / "model" / ROSTER
    values = json.loads(path.read_text())
    del values["newest"]
    path.write_text(json.dumps(values))

    assert ask(name) == Acquaintance(people=2, held_out_too=2)


def test_the_base_of_an_adapter_is_asked_too(tmp_path: Path) -> None:
    """Whom either has learned from counts once; one that has seen the answers is enough."""
    base = publish(tmp_path / "base", {"ada": JUNE, "bob": MAY})
    adapter = publish(tmp_path / "lora", {"ada": MAY, "bob": MAY})

    assert ask(base, adapter) == Acquaintance(people=2, held_out_too=1)
    assert ask("bundled:base", adapter) == Acquaintance(people=2, held_out_too=0)


def test_what_a_model_was_trained_on_top_of_is_asked_too(tmp_path: Path) -> None:
    """Its list carries theirs: all weights keep what the base has seen."""
    first = Roster.of({"ada": JUNE})
    (tmp_path / ROSTER).write_bytes(Roster.of({"bob": MAY}, base=first).to_json())

    assert ask(str(tmp_path)) == Acquaintance(people=2, held_out_too=1)


def test_of_other_models_nothing_is_known(tmp_path: Path) -> None:
    """A bundled one, one from the hub, a folder without papers."""
    for name in ("scripted", "bundled:smollm2-135m", "someone/gpt2", str(tmp_path)):
        assert ask(name) is None
