"""Laws of the doors: shell and flow give the same figures, and say plainly what is missing."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flows.evaluate import evaluate_texts
from tests.evaluation.world import make_profile, make_settings

if TYPE_CHECKING:
    from pathlib import Path


def write_config(folder: Path, num_people: int) -> Path:
    """Write people and the configuration that evaluates them."""
    settings = make_settings(folder / "in", [make_profile(n) for n in range(num_people)])
    config = folder / "config.toml"
    config.write_text(
        'model = "scripted"\n'
        f'templates_dir = "{settings.templates_dir}"\n'
        f'[inputs]\nprofiles = "{settings.inputs.profiles[0]}"\n'
        f'interactions = "{settings.inputs.interactions[0]}"\n'
        '[selection]\nembedder = "scripted"\n',
        encoding="utf-8",
    )
    return config


def personalm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command."""
    command = [sys.executable, "-m", "personalm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(240)
def test_the_shell_writes_figures_and_page_and_the_flow_the_same(tmp_path: Path) -> None:
    """A headline on standard output; what holds texts is the owner's alone."""
    config, output = write_config(tmp_path, 20), tmp_path / "shell"

    done = personalm("evaluate", "-c", str(config), "-o", str(output), "--quick")
    headline = evaluate_texts.fn(str(config), str(tmp_path / "flow"), None, None, quick=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == headline
    figures = json.loads((output / "metrics.json").read_text())
    assert figures["users"] == 6
    assert figures == json.loads((tmp_path / "flow" / "metrics.json").read_text())
    assert "<h1>" in (output / "evaluation.html").read_text()
    assert stat.S_IMODE((output / "_outputs").stat().st_mode) == 0o700
    assert not list(tmp_path.rglob("*spill*"))


def test_too_few_users_are_one_message_and_exit_code_1(tmp_path: Path) -> None:
    """No traceback, no page."""
    config = write_config(tmp_path, 3)

    remote = personalm("evaluate", "-c", str(config), "-o", "s3://bucket/evaluation")
    done = personalm("evaluate", "-c", str(config), "-o", str(tmp_path / "out"))

    assert remote.returncode == 1
    assert "an evaluation is written to this machine, not to s3://bucket" in remote.stderr
    assert done.returncode == 1
    assert "too few users to compare" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "metrics.json").exists()
