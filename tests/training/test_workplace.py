"""Laws of workplaces: what an interrupted training holds of people goes when one is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm import pipeline
from personalm.cli import app
from personalm.generation.deadlines import MARK
from personalm.shell import run_command
from personalm.store.reading import read_table
from personalm.training.roster import ROSTER, Roster
from personalm.training.workplace import Workplace
from tests.population import Person, make_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output folder with two users."""
    settings = make_settings(tmp_path, [Person(user_id="u-1"), Person(user_id="u-2")])
    pipeline.run(settings)
    return settings.output


def interrupt(model: Path) -> Path:
    """Leave what a killed training does; return the folder of its inputs."""
    model.parent.mkdir(exist_ok=True)
    with Workplace.open(model, replaces=False) as place:
        place.begin("fingerprint")
        for folder in (place.spill, place.checkpoints):
            folder.mkdir(exist_ok=True)
            (folder / "rows").write_text("what u-1 wrote")
        return place.spill


def forget(output: Path, *places: Path) -> int:
    """Forget a user, and at the places of models too."""
    named = [word for place in places for word in ("--model", str(place))]
    return run_command(app, ["forget", str(output), "u-1", *named])


@pytest.mark.parametrize("named", [".", "model"])
def test_an_interrupted_training_is_cleared_and_begins_anew(
    output: Path, tmp_path: Path, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder of models, and under the name of the model that is not there yet."""
    models = tmp_path / "models"
    interrupt(models / "model")
    other = interrupt(tmp_path / "others" / "model")

    assert forget(output, models / named) == 0

    assert "is cleared: the same command begins anew" in capsys.readouterr().out
    assert list(models.iterdir()) == []
    assert other.is_dir()
    with Workplace.open(models / "model", replaces=False) as place:
        place.begin("fingerprint")
        assert list(place.checkpoints.iterdir()) == []


def test_a_training_under_way_is_told_once_all_else_is_done(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would publish a model of the forgotten user's texts: exit code 1, and it stays."""
    spill = interrupt(tmp_path / "models" / "model")
    with Workplace.open(tmp_path / "models" / "model", replaces=False):
        assert forget(output, tmp_path / "models") == 1

    assert "held by another run: a training" in capsys.readouterr().err
    assert spill.is_dir()
    assert read_table(output)["user_id"].to_pylist() == ["u-2"]
    assert forget(output, tmp_path / "models") == 0
    assert not spill.exists()


def test_what_no_training_has_made_stays(output: Path, tmp_path: Path) -> None:
    """A folder of that name without a lock, and a link to a workplace elsewhere."""
    models = tmp_path / "models"
    diary = models / ".diary.training"
    diary.mkdir(parents=True)
    (diary / "page").touch()
    elsewhere = interrupt(tmp_path / "others" / "model")
    (models / ".link.training").symlink_to(elsewhere.parent)

    assert forget(output, models) == 0
    assert forget(output, models / "nothing") == 1

    assert (diary / "page").exists()
    assert elsewhere.is_dir()


def test_a_model_that_a_crash_caught_while_it_was_replaced_is_marked(
    output: Path, tmp_path: Path
) -> None:
    """It comes back with the next training."""
    aside = tmp_path / "models" / ".model.replaced"
    aside.mkdir(parents=True)
    (aside / ROSTER).write_bytes(Roster.of({"u-1": None}).to_json())

    assert forget(output, tmp_path / "models" / "model") == 0

    assert (aside / MARK).is_file()
