"""Laws of the doctor's page on a terminal, and of its exit code, with the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
model = "scripted"
output = "out"
kinds = ["post"]
[inputs]
interactions = "i.parquet"
[selection]
embedder = "scripted"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write settings; the table is written by each test."""
    path = tmp_path / "personalm.toml"
    path.write_text(CONFIG)
    return path


def call(config: Path, columns: dict[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a table."""
    pq.write_table(pa.table(columns), config.parent / "i.parquet")
    return subprocess.run(
        [sys.executable, "-m", "personalm", "doctor", "--config", str(config), *flags],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_sound_tables_end_with_a_verdict_and_exit_code_0(config: Path) -> None:
    """Column, effect, count and remedy stand in one table; the verdict comes last."""
    done = call(
        config, {"user_id": [7, None], "text": ["a\x00b", "c"], "odd [red]": [{"x": 1}] * 2}
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "a run would work, and reject 1 of 1 requests"
    for words in ("interactions.user_id", "dropped", "changed", "NUL", "unused", "odd [red]"):
        assert words in done.stdout
    assert "no_subject" in done.stdout


def test_refused_tables_end_with_exit_code_1_and_the_remedy(config: Path) -> None:
    """The place, what was found, and what to do."""
    done = call(config, {"user_id": [7.5], "text": ["a"]})

    assert done.returncode == 1
    last = done.stdout.splitlines()
    assert last[-1] == "a run would be refused: 1 problem"
    assert "column user_id, row 0: ids are floats" in done.stdout
    assert 'astype("Int64")' in done.stdout


def test_kinds_without_a_template_are_one_line(config: Path) -> None:
    """A wrong column mapped to the kind would be printed whole: every word of everybody."""
    secrets = {"user_id": ["a", "b"], "kind": ["my mother is ill", "call me at night"]}
    pq.write_table(pa.table(secrets), config.parent / "r.parquet")
    config.write_text(CONFIG.replace("[inputs]", '[inputs]\nrequests = "r.parquet"'))
    done = call(config, {"user_id": ["a"], "text": ["hello"]})

    (line,) = (each for each in done.stdout.splitlines() if "without a template" in each)
    assert " 2 " in line
    assert "mother" not in done.stdout
    assert "night" not in done.stdout


def test_json_is_one_object_for_programs(config: Path) -> None:
    """Findings have table, file, column, effect, count and remedy each."""
    done = call(config, {"user_id": [7, None], "text": ["a", "b"]}, "--json")

    told = json.loads(done.stdout)
    assert set(told) == {"would_run", "problems", "tables", "findings", "census"}
    assert told["would_run"] is True
    assert told["tables"] == {"interactions": 2}
    assert told["census"]["num_users"] == 1
    (dropped,) = (f for f in told["findings"] if f["effect"] == "dropped")
    assert (dropped["column"], dropped["count"], dropped["first_row"]) == ("user_id", 1, 1)


def test_names_that_command_a_terminal_are_shown_as_text(config: Path) -> None:
    """A column's name comes from whoever wrote the file."""
    done = call(config, {"user_id": ["a"], "text": ["b"], "\x1b]0;title\x07": [{"x": 1}]})

    assert "\x1b" not in done.stdout
    assert "\\x1b]0;title\\x07" in done.stdout.replace("\n", "")
