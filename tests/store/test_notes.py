"""Laws of notes: a help and no truth; private, bounded, and gone with whom they are about."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from personalm.hashing import user_digest
from personalm.store.files import LocalFiles
from personalm.store.notes import Notes, erase_notes, install_notes

if TYPE_CHECKING:
    from pathlib import Path

ADA, BO = user_digest("ada"), user_digest("bo")


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Return where a run writes notes and where they count."""
    return tmp_path / "run" / "0000.parquet", tmp_path / "out" / "0000.parquet"


def open_notes(places: tuple[Path, Path], *, max_bytes: int = 1 << 20) -> Notes:
    """Open the notes of the bucket."""
    return Notes(LocalFiles(), places, max_bytes=max_bytes)


def publish(places: tuple[Path, Path]) -> None:
    """Let the run's notes count, and end the run."""
    install_notes(LocalFiles(), places[0].parent, places[1].parent)
    places[0].unlink(missing_ok=True)


def test_what_is_kept_is_there_in_the_next_run(places: tuple[Path, Path]) -> None:
    """And only once the run is published; the folder is the owner's alone."""
    notes = open_notes(places)
    notes.keep(ADA, {"one": b"1"})
    notes.keep(ADA, {"two": b"2"})
    assert notes.of(ADA) == {"one": b"1", "two": b"2"}
    notes.save()
    assert not places[1].exists()
    assert stat.S_IMODE(places[0].parent.stat().st_mode) == 0o700
    publish(places)
    assert open_notes(places).of(ADA) == {"one": b"1", "two": b"2"}
    assert open_notes(places).of(BO) == {}
    assert stat.S_IMODE(places[1].parent.stat().st_mode) == 0o700


def test_a_run_that_goes_on_finds_what_it_had_noted(places: tuple[Path, Path]) -> None:
    """Although nothing was published."""
    notes = open_notes(places)
    notes.keep(ADA, {"one": b"1"})
    notes.save()
    assert open_notes(places).of(ADA) == {"one": b"1"}


def test_new_notes_about_somebody_take_the_place_of_old_ones(places: tuple[Path, Path]) -> None:
    """The rows of texts that are no longer looked at do not pile up."""
    for entries in ({"old": b"1", "both": b"2"}, {"both": b"2", "new": b"3"}):
        notes = open_notes(places)
        notes.of(ADA)
        notes.keep(ADA, entries)
        notes.keep(BO, {"x": b"y"}) if "old" in entries else None
        notes.save()
        publish(places)
    assert open_notes(places).of(ADA) == {"both": b"2", "new": b"3"}
    assert open_notes(places).of(BO) == {"x": b"y"}


def test_nothing_is_written_where_nothing_changed(places: tuple[Path, Path]) -> None:
    """A second look on the same day is no change."""
    notes = open_notes(places)
    notes.keep(ADA, {"one": b"1"})
    notes.save()
    publish(places)
    again = open_notes(places)
    again.of(ADA)
    again.drop([BO])
    again.save()
    assert not places[0].exists()


def test_notes_are_bounded_and_those_met_last_stay(places: tuple[Path, Path]) -> None:
    """With room for one of two people."""
    notes = open_notes(places, max_bytes=1_500)
    notes._old, notes._days = {ADA: {"x": b"a" * 1_000}}, {ADA: 1}
    notes.keep(BO, {"x": b"b" * 1_000})
    notes.save()
    publish(places)
    assert open_notes(places).of(ADA) == {}
    assert open_notes(places).of(BO) != {}


def test_without_room_nothing_is_kept_or_read(places: tuple[Path, Path]) -> None:
    """0 switches notes off, and what was kept before goes."""
    notes = open_notes(places)
    notes.keep(ADA, {"one": b"1"})
    notes.save()
    publish(places)
    off = open_notes(places, max_bytes=0)
    off.keep(BO, {"one": b"1"})
    off.save()
    publish(places)

    assert off.of(ADA) == {}
    assert open_notes(places).owners == frozenset()


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\x00" * 500])
def test_damaged_notes_count_as_none(places: tuple[Path, Path], damage: bytes) -> None:
    """They are worked out again, and written over."""
    places[1].parent.mkdir(parents=True)
    places[1].write_bytes(damage)
    notes = open_notes(places)
    assert notes.of(ADA) == {}
    notes.keep(ADA, {"one": b"1"})
    notes.save()
    publish(places)
    assert open_notes(places).of(ADA) == {"one": b"1"}


def test_who_is_forgotten_is_in_no_notes(places: tuple[Path, Path]) -> None:
    """Others stay; a damaged or unfinished file goes whole."""
    notes = open_notes(places)
    notes.keep(ADA, {"one": b"1"})
    notes.keep(BO, {"two": b"2"})
    notes.save()
    publish(places)
    folder = places[1].parent
    (folder / "0001.parquet").write_bytes(b"damaged")
    (folder / ".tmp-00").write_bytes(ADA.encode())
    assert erase_notes(LocalFiles(), folder, {ADA}) == 2
    assert [path.name for path in folder.iterdir()] == ["0000.parquet"]
    assert ADA.encode() not in places[1].read_bytes()
    assert open_notes(places).of(BO) == {"two": b"2"}
    assert erase_notes(LocalFiles(), folder, {ADA}) == 0


def test_who_opts_out_is_dropped(places: tuple[Path, Path]) -> None:
    """At the next run."""
    notes = open_notes(places)
    notes.keep(ADA, {"one": b"1"})
    notes.save()
    publish(places)
    notes = open_notes(places)
    notes.drop([ADA])
    notes.save()
    publish(places)
    assert open_notes(places).of(ADA) == {}
