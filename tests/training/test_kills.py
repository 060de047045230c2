"""The law of kills: a training that is killed ends with the weights of one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.training.kills import kill_trainings
from tests.training.world import write_config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(900)  # five processes that load torch, on a machine that may be busy
def test_a_killed_training_ends_with_the_same_weights(tiny_gpt2: Path, tmp_path: Path) -> None:
    """Wherever it is killed, nothing is published before its end; `make soak` kills more often."""
    config = write_config(tmp_path / "in", tiny_gpt2)

    tally = kill_trainings(config, tmp_path, num_kills=3, seed=2)

    assert tally.violations == []
    assert tally.num_resumed >= 1
