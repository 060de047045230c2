"""Small trainings: a tiny GPT-2 that really learns from a few people of strong habits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.population import make_settings, write_templates
from tests.training.world import TEMPLATE, make_people

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.settings import Settings


class MakeTraining(Protocol):
    """Makes the settings of a training; overrides go by their dotted names."""

    def __call__(self, **overrides: Any) -> Settings:
        """Return the settings."""
        ...


@pytest.fixture
def make_training(tmp_path: Path, tiny_gpt2: Path) -> MakeTraining:
    """Return a function that writes people and a template, and returns settings over them."""

    def make(**overrides: Any) -> Settings:
        given: dict[str, Any] = {
            "model": str(tiny_gpt2),
            "generation.threads": 1,
            "generation.dtype": "float32",
            "generation.device": "cpu",
            "generation.languages": ["en"],
            "prompting.num_style_texts": 3,
            "training.method": "full",
            "training.learning_rate": 2e-3,
            "training.epochs": 2,
            "training.max_tokens": 224,
            "training.batch_tokens": 800,
            "training.accumulation": 1,
            "training.check_steps": 8,
            "training.dropout": 0.1,
            "training.max_similarity": 0.9,
            "training.canaries": 1,
            "training.num_references": 31,
            "training.max_exposure": 99.0,
            "training.max_measured": 12,
        }
        write_templates(tmp_path / "templates", post=TEMPLATE)
        return make_settings(tmp_path, make_people(), **{**given, **overrides})

    return make
