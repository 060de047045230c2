"""The law of the training flow: it publishes what the command publishes, and keeps nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from personalm.generation.models import inspect_model
from tests.training.world import write_config

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)  # Prefect's own server starts and stops, and torch loads
def test_the_flow_publishes_a_model_and_no_text_reaches_the_server(
    tiny_gpt2: Path, tmp_path: Path
) -> None:
    """A folder in, numbers out."""
    config = write_config(tmp_path / "in", tiny_gpt2)
    home = tmp_path / "prefect"
    arguments = ["--config", str(config), "--output", str(tmp_path / "model")]
    done = subprocess.run(
        [sys.executable, "-m", "flows.finetune", *arguments],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(home), "PERSONALM_TRAINING__EPOCHS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert inspect_model(str(tmp_path / "model")).languages == ("en",)
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"blimey" not in data, path
            assert b"user-6" not in data, path
