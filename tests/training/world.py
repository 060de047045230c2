"""A small training as files: people of strong habits, a template, and settings over them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.population import Person, write_population, write_templates

if TYPE_CHECKING:
    from pathlib import Path

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

_CONFIG = """
model = "{model}"
templates_dir = "{folder}/templates"
[inputs]
profiles = "{folder}/profiles.parquet"
interactions = "{folder}/interactions.parquet"
[generation]
threads = 1
dtype = "float32"
device = "cpu"
languages = ["en"]
[training]
method = "full"
learning_rate = 2e-3
epochs = 4
patience = 99
max_tokens = 224
batch_tokens = 800
accumulation = 2
check_steps = 5
dropout = 0.1
max_similarity = 0.9
canaries = 1
num_references = 31
max_exposure = 99.0
max_measured = 4
"""


def make_people(num_people: int = 8, num_texts: int = 14) -> list[Person]:
    """Make people who each begin and end a text in a manner of their own."""
    chance = random.Random(5)  # noqa: S311 - no secret
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


def write_config(folder: Path, model: Path) -> Path:
    """Write people, a template and a configuration that trains a model on them."""
    write_population(folder, make_people())
    write_templates(folder / "templates", post=TEMPLATE)
    config = folder / "training.toml"
    config.write_text(_CONFIG.format(model=model, folder=folder), encoding="utf-8")
    return config
