"""Laws of an evaluation's folder: it holds the texts of its figures alone, and forgets people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from personalm.cli import app
from personalm.evaluation.folder import evaluate_into
from personalm.evaluation.plan import QUICK
from personalm.hashing import user_digest
from personalm.progress import SilentProgress
from personalm.shell import run_command
from personalm.store.evaluations import LOCK, METRICS, OUTPUTS, PAGE, is_evaluation
from personalm.store.files import LocalFiles
from tests.evaluation.world import make_profile, make_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from personalm.evaluation.plan import Plan
    from personalm.records import Profile

PEOPLE = tuple(make_profile(number) for number in range(20))
# The first by digest are those who are compared; the last are the strangers of the pool.
BY_DIGEST = sorted(PEOPLE, key=lambda profile: user_digest(profile.user_id))
SOMEBODY = BY_DIGEST[0]
POOL: dict[str, Any] = {"selection.min_impostors": 3}


@pytest.fixture
def folder(memory_path: Path) -> Path:
    """Return the folder of an evaluation."""
    return memory_path / "evaluation"


def evaluate(folder: Path, people: Sequence[Profile] = PEOPLE, *, plan: Plan = QUICK) -> None:
    """Evaluate some people into a folder."""
    settings = make_settings(folder.parent / "in", people, **POOL)
    evaluate_into(folder, settings, plan=plan, progress=SilentProgress())


def forget(folder: Path, *users: str) -> int:
    """Forget users by the command."""
    return run_command(app, ["forget", str(folder), *users])


def files_of(folder: Path) -> list[Path]:
    """Return the files of texts."""
    return sorted((folder / OUTPUTS).iterdir())


def files_with(folder: Path, somebody: Profile) -> set[Path]:
    """Return the files whose rows are somebody's, or whose prompts hold one of the texts."""
    found = set()
    for path in files_of(folder):
        for row in pq.read_table(path).to_pylist():
            is_shown = any(text in (row["prompt"] or "") for text in somebody.texts)
            if row["user_id"] == somebody.user_id or is_shown:
                found.add(path)
    return found


def pooled(folder: Path) -> set[str]:
    """Return whose rows are in the pool of strangers of an evaluation."""
    (path,) = (folder / "common" / "_artefacts").glob("impostors-*")
    return set(pq.read_table(path)["owner"].to_pylist())


def test_nothing_of_who_opted_out_stays_after_another_evaluation(folder: Path) -> None:
    """Neither own texts, nor those of people whose prompts showed the user's, nor pool rows."""
    evaluate(folder)
    before = files_of(folder)
    assert files_with(folder, SOMEBODY)
    assert user_digest(SOMEBODY.user_id) in pooled(folder)
    evaluate(folder, [replace(p, opt_out=p.user_id == SOMEBODY.user_id) for p in PEOPLE])

    assert files_with(folder, SOMEBODY) == set()
    assert user_digest(SOMEBODY.user_id) not in pooled(folder)
    assert set(before) & set(files_of(folder))
    assert len(files_of(folder)) == len(before)


def test_texts_that_no_figure_is_of_go(folder: Path) -> None:
    """Real texts alone need none; what evaluations have not written stays."""
    evaluate(folder)
    (folder / OUTPUTS / "notes.txt").touch()
    (folder / OUTPUTS / ".tmp-0123").touch()
    evaluate(folder, plan=replace(QUICK, real_texts_only=True))

    assert [path.name for path in files_of(folder)] == ["notes.txt"]


def test_who_is_forgotten_leaves_an_evaluation(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts, prompts of others, pool and figures; all other files stay as they are."""
    evaluate(folder)
    held, before = files_with(folder, SOMEBODY), {p: p.read_bytes() for p in files_of(folder)}
    others = {path for path in held if SOMEBODY.user_id not in owners_of(path)}
    assert others

    assert forget(folder, SOMEBODY.user_id) == 0

    said = capsys.readouterr().out
    assert METRICS in said
    assert "taken out of: impostors" in said
    assert SOMEBODY.user_id not in said
    left = {path: path.read_bytes() for path in files_of(folder)}
    assert files_with(folder, SOMEBODY) == set()
    assert left.items() <= before.items()
    assert left
    assert not (folder / METRICS).exists()
    assert not (folder / PAGE).exists()
    assert user_digest(SOMEBODY.user_id) not in pooled(folder)
    assert forget(folder, SOMEBODY.user_id) == 0
    assert "nothing of the user named" in capsys.readouterr().out


def owners_of(path: Path) -> set[str]:
    """Return whose texts a file holds."""
    return set(pq.read_table(path)["user_id"].to_pylist())


def test_who_is_not_in_it_costs_nothing_and_goes_from_the_pool(folder: Path) -> None:
    """Figures that tell nothing of the user stay."""
    evaluate(folder)
    before = {path: path.read_bytes() for path in files_of(folder)}

    assert forget(folder, "nobody", BY_DIGEST[-1].user_id) == 0

    assert {path: path.read_bytes() for path in files_of(folder)} == before
    assert (folder / METRICS).exists()
    assert user_digest(BY_DIGEST[-1].user_id) not in pooled(folder)


def test_a_file_that_does_not_tell_whom_it_shows_goes(folder: Path) -> None:
    """A damaged one, one of an older version, and one that was never finished."""
    evaluate(folder)
    one, other, kept, *_ = files_of(folder)
    one.write_bytes(b"damaged")
    pq.write_table(pq.read_table(other).drop_columns(["shown_id"]), other)
    (folder / OUTPUTS / ".tmp-0123").write_bytes(b"half")

    assert forget(folder, "nobody") == 0

    assert not one.exists()
    assert not other.exists()
    assert not (folder / OUTPUTS / ".tmp-0123").exists()
    assert kept.exists()


def test_a_killed_evaluation_forgets_as_well(folder: Path) -> None:
    """It has texts and no figures yet."""
    evaluate(folder)
    (folder / METRICS).unlink()
    (folder / PAGE).unlink()

    assert forget(folder, SOMEBODY.user_id) == 0

    assert files_with(folder, SOMEBODY) == set()


def test_an_evaluation_under_way_is_not_touched(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forgetting, and another evaluation, are refused."""
    evaluate(folder)
    before = files_of(folder)
    with LocalFiles().lock(folder / LOCK, "an evaluation"):
        assert forget(folder, SOMEBODY.user_id) == 1

    assert "an evaluation" in capsys.readouterr().err
    assert files_of(folder) == before


def test_a_folder_that_is_not_surely_an_evaluation_is_left_alone(tmp_path: Path) -> None:
    """A model with its figures, an output folder, texts under other names, a link."""
    for name in ("model", "output", "other", "link"):
        (tmp_path / name).mkdir()
    for path in ("model/metrics.json", "output/_personalm.json", "output/metrics.json"):
        (tmp_path / path).write_text("{}")
    (tmp_path / "output" / PAGE).touch()
    (tmp_path / "other" / OUTPUTS).mkdir()
    (tmp_path / "other" / OUTPUTS / "texts.parquet").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f"own-{'0' * 24}.parquet").touch()
    (tmp_path / "link" / OUTPUTS).symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))

    for name in ("model", "output", "other", "link", "nowhere"):
        assert not is_evaluation(tmp_path / name)
        assert forget(tmp_path / name, "u") == 1
    assert sorted(tmp_path.rglob("*")) == before
