"""Small trainings: a tiny GPT-2 that really learns from a few people of strong habits."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.population import Person, make_settings, write_templates

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.settings import Settings

TEMPLATE = """+++
subject = "topic"
max_new_tokens = 40
stop = ["\\n"]
gates = ["empty"]
+++
{% for text in samples %}
Post: {{ text | one_line }}
{% endfor %}
On {{ subject | one_line | clip(40) }}
Post:"""

_HABITS = ("indeed", "hooray", "alas", "meow", "frankly", "whatever", "blimey", "sigh")
_THINGS = ("harbour", "kettle", "library", "bicycle", "garden", "market", "window", "pigeon")
_DEEDS = ("painted", "mended", "visited", "lost", "sold", "cleaned", "dreamed of", "photographed")


class MakeTraining(Protocol):
    """Makes the settings of a training; overrides go by their dotted names."""

    def __call__(self, **overrides: Any) -> Settings:
        """Return the settings."""
        ...


def make_people(num_people: int = 8, num_texts: int = 14) -> list[Person]:
    """Make people who each begin and end a text in a manner of their own."""
    chance = random.Random(5)
    return [
        Person(
            user_id=f"user-{number}",
            texts=tuple(
                f"{habit.capitalize()}, I {chance.choice(_DEEDS)} the {chance.choice(_THINGS)} "
                f"and the {chance.choice(_THINGS)} at {chance.randrange(100, 999)}, {habit} {habit}"
                for _ in range(num_texts)
            ),
        )
        for number, habit in enumerate(_HABITS[:num_people])
    ]


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


@pytest.fixture
def base(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """Copy the tiny GPT-2."""
    return shutil.copytree(tiny_gpt2, tmp_path / "base")
