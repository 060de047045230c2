"""The law of the help: what it gives as an example of a training can be trained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from personalm.generation.adapters import is_adapter
from personalm.settings import load_settings

ROOT = Path(__file__).parents[2]

_EXAMPLE = re.compile(r"finetune --config (\S+\.toml)")


@pytest.mark.parametrize(
    "place",
    ["personalm/commands/finetune.py", "flows/finetune.py", "README.md", "docs/training.md"],
)
def test_no_example_of_a_training_starts_from_an_adapter(place: str) -> None:
    """Nothing is learned on top of one; settings that ask for data of one's own say so."""
    named = set(_EXAMPLE.findall((ROOT / place).read_text()))

    assert named
    for config in named - {"examples/finetune-scratch.toml"}:
        assert not is_adapter(Path(load_settings(ROOT / config).model))
