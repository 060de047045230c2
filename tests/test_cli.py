"""Laws of the command line, with the real command in a process of its own where it matters."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from personalm.cli import app
from personalm.shell import run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
COMMANDS = (
    *"run doctor preview generate profile status verify rollback vacuum".split(),  # noqa: SIM905 - a list
    *"forget evaluate export report finetune demo models".split(),  # noqa: SIM905 - the same
)
FAKES = {
    "PERSONALM_SELECTION__EMBEDDER": "scripted",
    "PERSONALM_GENERATION__LANGUAGES": '["en"]',
    "PERSONALM_CONFIG": str(ROOT / "personalm.toml"),
}


# A shell lets the processes it starts in the background ignore Ctrl-C, and theirs inherit that.
FOREGROUND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from personalm.cli import main
main()
"""


def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the fakes and return what it did."""
    return subprocess.run(
        [sys.executable, "-m", "personalm", *arguments],
        env={**os.environ, **FAKES, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output folder of one run on the sample data."""
    folder = tmp_path_factory.mktemp("cli") / "out"
    done = call("run", "--model", "scripted", "--output", str(folder))
    assert done.returncode == 3, done.stderr
    assert "requests = " in done.stdout
    return folder


def test_the_help_names_every_command() -> None:
    """What there is can be found."""
    done = call("--help")

    assert done.returncode == 0
    assert [name for name in COMMANDS if name not in done.stdout] == []
    assert sorted(COMMANDS) == sorted(
        name for command in app.resolved_commands() for name in [command] if name[0] != "-"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    """A newcomer sees how it is called."""
    done = call(command, "--help")

    assert done.returncode == 0
    assert f"personalm {command}" in done.stdout
    assert "Example" in done.stdout


def test_a_second_run_says_that_nothing_changed(output: Path) -> None:
    """Exit code 0: all requests are served or unchanged."""
    done = call("run", "--model", "scripted", "--output", str(output))

    assert done.returncode == 0
    assert "generated 0" in done.stdout
    assert "nothing changed" in done.stdout


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """It counts, and leaves no folder behind."""
    done = call("run", "--model", "scripted", "--output", str(tmp_path / "o"), "--dry-run")

    assert done.returncode == 0
    assert "would be written" in done.stdout
    assert not (tmp_path / "o").exists()


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command did, as a process would tell it."""

    returncode: int
    stdout: str
    stderr: str


Here: TypeAlias = "Callable[..., Done]"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Return what runs the command in this process, which takes less time."""
    for name, value in FAKES.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Done:
        code = run_command(app, list(arguments))
        told = capsys.readouterr()
        return Done(returncode=code, stdout=told.out, stderr=told.err)

    return run


def test_a_dry_run_says_why_by_kind(output: Path, here: Here) -> None:
    """Another seed is another setting; named users are the only ones."""
    arguments = ("run", "--model", "scripted", "-o", str(output), "--dry-run")

    plain = here(*arguments)
    assert " would be written, " in plain.stdout
    assert "settings changed" not in plain.stdout
    done = here(*arguments, "--seed", "5")
    assert "  blurb: " in done.stdout
    assert " settings changed\n" in done.stdout
    assert "of the 2 users named are served" in here(*arguments, "--users", "u-hale,x").stderr


def test_users_may_be_named_by_a_file(output: Path, tmp_path: Path, here: Here) -> None:
    """One id a line; blank lines do not count, and a file without ids is an error."""
    ids = tmp_path / "ids.txt"
    ids.write_text("\ufeffu-hale\n\n  \nu-maren\r\n", encoding="utf-8")
    empty = tmp_path / "empty.txt"
    empty.write_text("\n", encoding="utf-8")
    arguments = ("run", "--model", "scripted", "-o", str(output), "--seed", "5", "--dry-run")

    by_file = here(*arguments, "--users", str(ids))
    by_name = here(*arguments, "--users", "u-hale, u-maren")
    nobody = here(*arguments, "--users", str(empty))

    assert by_file.stdout == by_name.stdout != here(*arguments).stdout
    assert (nobody.returncode, "no user is named" in nobody.stderr) == (1, True)


def test_forgetting_says_what_went_and_who_is_still_in_the_inputs(
    output: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known, again, unknown: exit code 0; where nobody is named, 1. Ids are not repeated."""
    # The model of the settings has learned from them, and would get a note for its operator.
    monkeypatch.setenv("PERSONALM_MODEL", "scripted")
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(output), str(copy)], check=True)
    config = ("--config", str(ROOT / "personalm.toml"))

    done = here("forget", str(copy), "u-hale", *config)
    again = here("forget", str(copy), "u-hale")
    nobody = here("forget", str(copy), "nobody", *config)
    opted_out = here("forget", str(copy), "u-gregor", *config)

    codes = [each.returncode for each in (done, again, nobody, opted_out)]
    assert codes == [0, 0, 0, 0], done.stderr
    assert "erased of the user named: " in done.stdout
    assert "published without them" in done.stdout
    assert "still hold 1 of them, and the next run writes for them again" in done.stdout
    assert "set opt_out in their profiles" in done.stdout
    assert "nothing of the user named is in" in again.stdout
    assert "If they are still in the inputs, the next run writes for them again" in again.stdout
    assert "The inputs hold nothing of them." in nobody.stdout
    assert "as opted out: no run writes for them" in opted_out.stdout
    assert "u-hale" not in done.stdout + done.stderr
    assert here("verify", str(copy)).returncode == 0
    assert here("forget", str(copy)).returncode == 1
    target = tmp_path / "texts.csv"
    here("export", str(copy), str(target))
    assert "u-hale" not in target.read_text(encoding="utf-8")


def test_status_is_one_json_object_for_programs(output: Path) -> None:
    """`run` has the counts of the last run, `snapshot` the live rows."""
    state = json.loads(call("status", str(output), "--json").stdout)

    run = state["run"]
    assert run["requests"] == sum(
        run[name] for name in ("results", "rejections", "unchanged", "opted_out")
    )
    assert state["snapshot"]["results"] > 0
    assert state["unfinished"] is None
    assert f"{state['snapshot']['results']} results" in call("status", str(output)).stdout


def test_verify_finds_a_damaged_file(output: Path, tmp_path: Path) -> None:
    """Clean is exit code 0; one changed byte is a problem and exit code 1."""
    assert call("verify", str(output)).returncode == 0
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(output), str(copy)], check=True)
    victim = next((copy / "_data" / "results").glob("*.parquet"))
    damaged = bytearray(victim.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    victim.chmod(0o600)
    victim.unlink()
    victim.write_bytes(bytes(damaged))

    done = call("verify", str(copy))

    assert done.returncode == 1
    assert victim.name in done.stdout


def test_an_export_is_one_file_with_every_row(output: Path, tmp_path: Path) -> None:
    """CSV and Parquet have the live rows; an existing file is kept unless forced."""
    target = tmp_path / "texts.csv"
    first = call("export", str(output), str(target))
    again = call("export", str(output), str(target))

    num_results = json.loads(call("status", str(output), "--json").stdout)["snapshot"]["results"]
    with target.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == num_results
    assert (first.returncode, again.returncode) == (0, 1)
    assert str(target) in again.stderr


def test_a_report_is_a_page_that_needs_no_network(output: Path, tmp_path: Path) -> None:
    """It names users and holds no address of another place."""
    target = tmp_path / "report.html"

    assert call("report", str(output), str(target)).returncode == 0

    page = target.read_text(encoding="utf-8")
    assert "u-hale" in page
    assert "://" not in page
    assert "<script" not in page


def test_a_preview_shows_prompts_candidates_and_choices_and_writes_nothing(tmp_path: Path) -> None:
    """The output folder of the settings is not made."""
    done = call(
        "preview", "--model", "scripted", "--users", "3", PERSONALM_OUTPUT=str(tmp_path / "o")
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n=> ") >= 3
    assert "Post:" in done.stdout
    assert not (tmp_path / "o").exists()


def test_generate_prints_one_text() -> None:
    """The text alone goes to standard output."""
    arguments = ("generate", "u-hale", "--subject", "a chair", "--model", "scripted")
    done = call(*arguments, "--candidates")

    assert done.returncode in {0, 3}, done.stderr
    assert "u-hale" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["generate", "nobody", "--model", "scripted"], 1, "no input table holds this user"),
        (["generate", "u-hale", "--kind", "ode", "--model", "scripted"], 1, "unknown kind 'ode'"),
        (["run", "--config", "missing.toml"], 1, "missing.toml does not exist"),
        (["run", "--model", "/no/such/model"], 1, "/no/such/model"),
        (["run", "--model", "bundled:nothing"], 1, "bundled:nothing"),
        (["status", "/no/such/output"], 1, "/no/such/output"),
        (["run", "--limt", "3"], 2, "--limt"),
        (["fly"], 2, "fly"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_without_a_traceback(
    arguments: list[str], code: int, message: str
) -> None:
    """Exit code 1: the run failed; 2: the command line is wrong."""
    done = call(*arguments)

    assert done.returncode == code
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.fixture
def slow_run(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Return a run that takes long: many candidates of the fake model, and its output."""
    output = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, "run", "--model", "scripted", "-o", str(output)],
        env={**os.environ, **FAKES, "PERSONALM_GENERATION__CANDIDATES": "64"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, output
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_a_signal_ends_a_run_cleanly_within_five_seconds(
    slow_run: tuple[subprocess.Popen[str], Path], number: signal.Signals, code: int
) -> None:
    """No spilled inputs stay behind, and the same command goes on from there."""
    process, output = slow_run
    deadline = time.monotonic() + 60
    while not list(output.glob("_runs/*/units/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=30)

    assert process.returncode == code, errors
    assert time.monotonic() - sent < 5
    assert "Traceback" not in errors
    assert not list(output.glob("_runs/*/spill"))
    assert list(output.glob("_runs/*/units/*.parquet"))


def test_a_folder_is_rolled_back_and_cleared_of_older_snapshots(
    output: Path, tmp_path: Path
) -> None:
    """Status tells which snapshots are kept; a number that is not is refused in words."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(output), str(copy)], check=True)
    again = call("run", "--model", "scripted", "--seed", "5", "--output", str(copy))
    back = call("rollback", str(copy), "1")
    refused = call("rollback", str(copy), "9")
    kept = call("status", str(copy)).stdout
    cleared = call("vacuum", str(copy))

    assert again.returncode in {0, 3}, again.stderr
    assert "snapshot 3 published (rollback to 1)" in back.stdout
    assert refused.returncode == 1
    assert "These are: 1, 2, 3" in refused.stderr
    assert "kept snapshots, for `personalm rollback`: 1, 2, 3" in kept
    assert "files removed; 1 snapshots kept" in cleared.stdout
    assert call("vacuum", str(copy), "--keep", "0").returncode == 1
    assert call("verify", str(copy)).stdout == "clean\n"


@pytest.mark.parametrize("number", ["-1", "99999999999999999999", "x"])
@pytest.mark.parametrize("option", ["run --limit", "preview --users"])
def test_a_number_of_users_that_is_none_is_refused(option: str, number: str, here: Here) -> None:
    """By the name of the option, before anything is read."""
    command, name = option.split()

    done = here(command, "--model", "scripted", name, number)

    assert done.returncode == 2
    assert name in done.stdout + done.stderr
    assert "fault of the program" not in done.stderr


def test_a_preview_of_an_unknown_kind_says_which_are_known(here: Here) -> None:
    """It printed nothing, as if there were no requests of it."""
    done = here("preview", "--model", "scripted", "--kind", "nope")

    assert done.returncode == 1
    assert "unknown kind 'nope'; known are blurb" in done.stderr
