"""What a training spares, an evaluation of the same people finds unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from personalm.evaluation.acquaintance import Acquaintance
from personalm.evaluation.people import choose_people
from personalm.finetuning import finetune
from personalm.generation.models import inspect_model
from personalm.hashing import user_digest
from tests.evaluation.world import make_profile, make_settings

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = sorted(
    (make_profile(number) for number in range(14)), key=lambda p: user_digest(p.user_id)
)


@pytest.mark.parametrize("spares", [True, False])
def test_what_is_held_out_is_learned_only_where_it_is_not_spared(
    *, spares: bool, tiny_gpt2: Path, tmp_path: Path
) -> None:
    """The published list says so of each person: the split of both is the same code."""
    overrides: dict[str, Any] = {
        "model": str(tiny_gpt2),
        "kinds": ["post"],
        "generation.languages": ["en"],
        "generation.threads": 1,
        "generation.device": "cpu",
        "training.method": "full",
        "training.spares_held_out": spares,
        "training.epochs": 1,
        "training.canaries": 0,
        "training.max_tokens": 200,
        "training.max_measured": 2,
        "training.max_validated": 2,
    }
    settings = make_settings(tmp_path / "in", PROFILES, **overrides)
    people = choose_people(PROFILES, voice_kinds=["post"]).people

    folder = finetune(settings, tmp_path / "model").folder
    found = Acquaintance.of(
        inspect_model(str(folder)), {p.user_id: p.held_out_since for p in people}
    )

    num_people = len(people)
    assert num_people >= 4
    assert found == Acquaintance(people=num_people, held_out_too=0 if spares else num_people)
