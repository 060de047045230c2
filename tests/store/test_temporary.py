"""Laws of temporary folders: private, gone with their process or soon after, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from personalm import pipeline
from personalm.cli import app
from personalm.errors import StoreError
from personalm.forecasting import forecast
from personalm.shell import run_command
from personalm.store.temporary import clear_temporary, temporary_folder
from tests.population import Person, make_settings

ROOT = Path(__file__).parents[2]
CANARY = "canary-ada"

# Ends itself as soon as the inputs lie in their buckets.
_KILLED = """
import os, signal, sys
from personalm.inputs import spilling
settle = spilling.Spilling._settle
def die(self, bucket):
    settle(self, bucket)
    if bucket == 3:
        os.kill(os.getpid(), signal.SIGKILL)
spilling.Spilling._settle = die
from personalm.cli import main
main()
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where this user's temporary folders lie, in a folder of the test's own."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place / f"personalm-{os.getuid()}"


def leave(base: Path, name: str = "here-" + "0" * 16) -> Path:
    """Leave what a killed process would: a folder with a text, and a lock that nobody holds."""
    folder = base / name
    folder.mkdir(parents=True)
    base.chmod(0o700)
    (folder / "text").write_text(CANARY)
    (base / f"{name}.lock").touch()
    return folder


def texts_in(place: Path) -> list[Path]:
    """Return the files below a place that hold the canary, or may."""
    return [path for path in place.rglob("*") if path.is_file() and path.stat().st_size]


def test_it_is_private_and_gone_at_the_end(base: Path) -> None:
    """Whether the work in it ends well or not; of two at once each has its own."""
    with temporary_folder() as one, temporary_folder() as other:
        (one / "text").write_text(CANARY)
        assert one != other
        assert {path.stat().st_mode & 0o077 for path in (base, one, other)} == {0}
    with pytest.raises(KeyError), temporary_folder() as folder:
        raise KeyError

    assert list(base.iterdir()) == []
    assert not folder.exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(base: Path) -> None:
    """A lock tells them apart; it dies with its process."""
    left = leave(base)
    with temporary_folder() as used:
        assert not left.exists()
        left = leave(base)
        assert clear_temporary() == 1
        assert used.is_dir()

    assert list(base.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("run", "--dry-run"), ("preview",), ("doctor",)], ids=lambda each: each[0]
)
def test_the_inputs_of_a_killed_command_go_at_the_next_start(
    base: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """They lie there until then, and nowhere else."""
    config = write_config(tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, *command, "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert texts_in(base)
    assert {path.stat().st_mode & 0o077 for path in base.iterdir()} == {0}

    with temporary_folder():
        pass

    assert texts_in(tmp_path / "tmp") == []


def test_a_forecast_a_run_and_forgetting_clear_what_was_left(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So nightly runs alone leave no text there for ever."""
    settings = make_settings(tmp_path, [Person(user_id="u-1"), Person(user_id="u-2")])
    for start in (forecast, pipeline.run):
        left = leave(base)
        start(settings)
        assert not left.exists()

    left = leave(base)
    assert run_command(app, ["forget", str(settings.output), "u-1"]) == 0

    assert "left in the temporary folder" in capsys.readouterr().out
    assert list(base.iterdir()) == []


def refuse() -> None:
    """See that the folder is not used."""
    with pytest.raises(StoreError, match="not a private folder"), temporary_folder():
        pass
    assert clear_temporary() == 0


def test_a_folder_of_somebody_else_is_neither_used_nor_cleared(base: Path, tmp_path: Path) -> None:
    """A link, a file, or a folder that others may read: it could be a trap."""
    elsewhere = tmp_path / "elsewhere"
    victim = leave(elsewhere)
    base.symlink_to(elsewhere)
    refuse()
    base.unlink()
    leave(base)
    base.chmod(0o755)
    refuse()

    assert victim.is_dir()
    assert texts_in(base)


def test_a_link_in_the_place_of_a_folder_or_a_lock_leads_nowhere(
    base: Path, tmp_path: Path
) -> None:
    """What it leads to stays."""
    victim = tmp_path / "victim"
    (victim / "inner").mkdir(parents=True)
    folder = leave(base)
    (folder / "text").unlink()
    folder.rmdir()
    folder.symlink_to(victim)
    (base / ("here-" + "1" * 16 + ".lock")).symlink_to(victim / "inner")

    assert clear_temporary() == 1

    assert (victim / "inner").is_dir()
    assert [path.name for path in base.iterdir()] == ["here-" + "1" * 16 + ".lock"]


def test_names_of_others_are_left_alone(base: Path) -> None:
    """Inputs of runs on object storage lie there too, and are cleared by those who know them."""
    leave(base)
    foreign = [leave(base, name) for name in ("here-1", "0123456789abcdef-run", "here-" + "g" * 16)]

    clear_temporary()

    assert all(folder.is_dir() for folder in foreign)


def test_nothing_else_in_the_package_makes_temporary_files() -> None:
    """It would stay where a process is killed; models and a probe of a disk are no texts."""
    sources = {p: p.read_text(encoding="utf-8") for p in (ROOT / "personalm").rglob("*.py")}

    found = {path.name for path, source in sources.items() if "tempfile" in source}
    assert found == {"temporary.py", "bundled.py", "disks.py"}


def write_config(folder: Path) -> Path:
    """Write people, and the settings of commands over them."""
    settings = make_settings(folder, [Person(user_id=CANARY, texts=(f"{CANARY} is on",) * 3)])
    config = folder / "config.toml"
    config.write_text(
        f'model = "scripted"\noutput = "{settings.output}"\n'
        f'templates_dir = "{settings.templates_dir}"\n'
        f'[inputs]\ninteractions = "{settings.inputs.interactions[0]}"\n'
        '[selection]\nembedder = "scripted"\n[generation]\nlanguages = ["en"]\n'
        "[store]\nbuckets = 4\n",
        encoding="utf-8",
    )
    return config
