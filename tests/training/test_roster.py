"""Laws of the roster: it answers for those it is asked for, and a forgotten user is a deadline."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.cli import app
from personalm.errors import ModelError
from personalm.generation.adapters import CONFIG
from personalm.generation.deadlines import MARK, read_deadline
from personalm.generation.models import inspect_model
from personalm.shell import run_command
from personalm.training.roster import ROSTER, Roster, list_users, mark_models
from tests.population import make_settings

if TYPE_CHECKING:
    from pathlib import Path


@given(st.sets(st.text(min_size=1), max_size=20), st.sets(st.text(min_size=1), max_size=20))
def test_a_roster_holds_exactly_its_users(inside: set[str], asked: set[str]) -> None:
    """And two rosters of the same users have nothing in common."""
    days = dict.fromkeys(inside, date(2026, 5, 1))
    one, other = Roster.of(days), Roster.of(days)

    assert {user for user in asked | inside if one.holds(user)} == inside
    assert one.hashes.isdisjoint(other.hashes)


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """A folder without one has none; a damaged one is an error."""
    assert Roster.read(tmp_path) is None
    roster = Roster.of({"u-1": date(2026, 5, 1), "u-2": None})
    (tmp_path / ROSTER).write_bytes(roster.to_json())
    assert Roster.read(tmp_path) == roster

    damaged = (
        '{"users": []}',
        '{"key": "00", "users": [], "newest": []}',
        '{"key": "00", "users": [], "newest": {"a": "May"}}',
        '{"key": "00", "users": [], "newest": {"a": 5}}',
    )
    for text in damaged:
        (tmp_path / ROSTER).write_text(text)
        with pytest.raises(ModelError):
            Roster.read(tmp_path)


def test_a_roster_holds_the_users_of_all_that_it_was_made_of() -> None:
    """Weights keep what their base has learned; days are those of each training."""
    may, june = date(2026, 5, 1), date(2026, 6, 1)
    first = Roster.of({"u-1": june})
    second = Roster.of({"u-2": may, "u-1": may}, base=first)
    third = Roster.of({"u-3": None}, base=second)

    assert {user for user in ("u-1", "u-2", "u-3", "u-4") if third.holds(user)} == {
        *("u-1", "u-2", "u-3")
    }
    assert third.bases == (replace(second, bases=()), first)
    assert third.may_know("u-1", june)
    assert not third.may_know("u-2", june)


def test_the_files_of_a_model_name_the_users_of_its_base_and_carry_its_mark(
    tmp_path: Path,
) -> None:
    """Training on top of a marked model does not prolong what it may be used for."""
    base, model = tmp_path / "base", tmp_path / "model"
    base.mkdir()
    assert set(list_users({"u-2": None}, base=base)) == {ROSTER}

    (base / ROSTER).write_bytes(Roster.of({"u-1": None}).to_json())
    (base / MARK).write_text('{"last_day": "2026-05-01"}')
    model.mkdir()
    for name, data in list_users({"u-2": None}, base=base).items():
        (model / name).write_bytes(data)

    roster = Roster.read(model)
    assert roster is not None
    assert all(map(roster.holds, ("u-1", "u-2")))
    assert read_deadline(model) == date(2026, 5, 1)
    (model / ROSTER).write_text('{"key": "00", "users": [], "bases": [{"key": "00"}]}')
    with pytest.raises(ModelError):
        Roster.read(model)


@pytest.mark.parametrize("has_roster", [True, False])
def test_the_base_of_an_adapter_is_marked_with_it(tmp_path: Path, *, has_roster: bool) -> None:
    """Also where the adapter was made elsewhere, and where a folder of models is named."""
    base, adapter = tmp_path / "base", tmp_path / "models" / "adapter"
    base.mkdir()
    (base / ROSTER).write_bytes(Roster.of({"u-1": None}).to_json())
    adapter.mkdir(parents=True)
    (adapter / CONFIG).write_text(json.dumps({"base_model_name_or_path": str(base)}))
    if has_roster:
        for name, data in list_users({"u-2": None}, base=base).items():
            (adapter / name).write_bytes(data)

    for place in (adapter, adapter.parent):
        found = mark_models([place], ["u-1"], retrain_days=3)
        assert {h.folder for h in found} == {base, *((adapter,) if has_roster else ())}
    assert (base / MARK).is_file()


def test_models_that_hold_a_user_are_marked_and_others_are_not(tmp_path: Path) -> None:
    """In a folder of models as well; a later mark does not put the day off."""
    for name, users in (("a", ["u-1"]), ("b", ["u-2"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / ROSTER).write_bytes(Roster.of(dict.fromkeys(users)).to_json())
    (tmp_path / "c").mkdir()
    today = datetime.now(UTC).date()

    first = mark_models([tmp_path, tmp_path / "a"], ["u-1", "u-3"], retrain_days=3)
    again = mark_models([tmp_path / "a"], ["u-1"], retrain_days=30)

    assert [(h.folder.name, h.num_users) for h in first] == [("a", 1)]
    assert {h.last_day for h in (*first, *again)} <= {today + timedelta(days=n) for n in (3, 4)}
    assert not (tmp_path / "b" / MARK).exists()


def test_a_damaged_mark_is_told_and_nothing_is_put_off(tmp_path: Path) -> None:
    """A day that nobody can read is no reason to set a later one."""
    (tmp_path / ROSTER).write_bytes(Roster.of({"u-1": None}).to_json())
    (tmp_path / MARK).write_text('{"last_day": "soon"}')

    with pytest.raises(ModelError, match="names no last day"):
        mark_models([tmp_path], ["u-1"], retrain_days=3)
    assert "soon" in (tmp_path / MARK).read_text()


def test_forget_reaches_a_trained_model(
    tiny_gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command names it, and a run refuses it once its day is over."""
    import shutil  # noqa: PLC0415 - beside its use

    from personalm import pipeline  # noqa: PLC0415 - the same
    from tests.population import Person  # noqa: PLC0415 - the same

    settings = make_settings(tmp_path, [Person(user_id="u-1"), Person(user_id="u-2")])
    pipeline.run(settings)
    model = shutil.copytree(tiny_gpt2, tmp_path / "model")
    (model / ROSTER).write_bytes(Roster.of({"u-1": None}).to_json())

    code = run_command(app, ["forget", str(settings.output), "u-1", "--model", str(model)])

    said = capsys.readouterr().out
    assert code == 0
    assert f"{model} has learned from 1 of them" in said
    assert inspect_model(str(model))
    (model / MARK).write_text(json.dumps({"last_day": "2020-01-01"}))
    with pytest.raises(ModelError, match="forgotten"):
        inspect_model(str(model))
