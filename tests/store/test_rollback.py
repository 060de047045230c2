"""Rollback and vacuum: what readers see again, and what is gone for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.errors import StoreDamagedError, StoreError
from personalm.store.reading import status
from personalm.store.store import Store
from personalm.store.verify import find_leftovers, verify
from tests.store.world import BUCKETS, Plan, read_latest, read_view, run, table_of, wanted

if TYPE_CHECKING:
    from pathlib import Path

OLD = wanted("ada", "bo")
NEW = wanted("ada", "bo", "cy", version="v2")


@pytest.fixture
def twice(output: Path) -> Path:
    """Return an output folder with two snapshots that differ."""
    run(output, OLD)
    run(output, NEW)
    return output


def roll_back(output: Path, number: int) -> int:
    """Roll back; return the number of the newest snapshot."""
    store = Store.require(output)
    with store.lock():
        return store.rollback(number).number


def test_a_rollback_shows_an_older_table_as_a_new_snapshot(twice: Path) -> None:
    """And can be rolled back itself."""
    assert roll_back(twice, 1) == 3
    assert read_view(twice) == read_latest(twice) == table_of(OLD)
    assert status(twice)["snapshot"]["action"] == "rollback to 1"
    assert roll_back(twice, 2) == 4
    assert read_view(twice) == read_latest(twice) == table_of(NEW)
    assert verify(twice) == ()


def test_a_rollback_to_what_is_seen_already_changes_nothing(twice: Path) -> None:
    """Twice the same is once."""
    assert roll_back(twice, 2) == 2
    assert roll_back(twice, 1) == 3
    assert roll_back(twice, 1) == 3


def test_the_run_after_a_rollback_writes_what_is_missing(twice: Path) -> None:
    """The table is that of its inputs, whatever was rolled back."""
    roll_back(twice, 1)
    run(twice, NEW)

    assert read_view(twice) == table_of(NEW)


def test_a_rollback_needs_a_snapshot_that_is_kept_and_whole(twice: Path) -> None:
    """Otherwise it says which are kept, and nothing changes."""
    with pytest.raises(StoreError, match=r"snapshot 7 of .* is not kept\n  These are: 1, 2"):
        roll_back(twice, 7)
    snapshot = Store.require(twice).snapshots[0]
    (twice / snapshot.files[0].path).write_bytes(b"x")
    with pytest.raises(StoreDamagedError, match="differs from its checksum"):
        roll_back(twice, 1)

    assert read_latest(twice) == table_of(NEW)
    assert Store.require(twice).snapshot == Store.require(twice).snapshots[-1]


def test_a_vacuum_leaves_the_newest_snapshots_alone(twice: Path) -> None:
    """Files and views of the others go, and a rollback to them is refused."""
    store = Store.require(twice)
    num_files = len(list((twice / "_data").rglob("*.parquet")))
    with store.lock():
        num_removed = store.vacuum(keep=1)

    assert num_removed > 0
    assert len(list((twice / "_data").rglob("*.parquet"))) == num_files - num_removed
    assert [snapshot.number for snapshot in store.snapshots] == [2]
    assert len(list((twice / "_views").iterdir())) == 1
    assert read_view(twice) == read_latest(twice) == table_of(NEW)
    assert verify(twice) == ()
    with pytest.raises(StoreError, match="is not kept"):
        roll_back(twice, 1)


def test_a_vacuum_leaves_the_journal_of_an_unfinished_run(twice: Path) -> None:
    """Its leftovers elsewhere go."""
    store = Store.open(twice, buckets=BUCKETS)
    with store.lock():
        plan = Plan(store, wanted("dee"))
        plan.write(store.start_run("m1"))
    (twice / "_data" / "results" / "0000-00.parquet").touch()
    with store.lock():
        assert store.vacuum(keep=5) == 1

    assert find_leftovers(twice) == ()
    assert status(twice)["unfinished"]["rows"] == 1


def test_so_many_snapshots_are_kept_as_the_settings_say(output: Path) -> None:
    """Older ones go with the commit of a newer one."""
    for number in range(5):
        store = Store.open(output, buckets=BUCKETS, keep=3)
        with store.lock():
            journal = store.start_run("m1")
            plan = Plan(store, wanted("ada", version=f"v{number}"))
            plan.write(journal)
            store.publish(journal, units=plan.unit_ids, withdrawn={}, counts=plan.counts)

    assert [snapshot.number for snapshot in store.snapshots] == [3, 4, 5]
    assert len(list((output / "_views").iterdir())) == 3
    assert find_leftovers(output) == ()


def test_commands_that_change_a_folder_need_its_lock(twice: Path) -> None:
    """A rollback and a vacuum too."""
    store = Store.require(twice)
    with pytest.raises(StoreError, match="not locked"):
        store.rollback(1)
    with pytest.raises(StoreError, match="not locked"):
        store.vacuum(keep=1)
