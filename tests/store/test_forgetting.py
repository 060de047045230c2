"""Laws of forgetting: nothing of a user is left, and nothing of anybody else is touched."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from personalm.errors import StoreDamagedError, StoreError, StoreLockedError
from personalm.store.files import LocalFiles
from personalm.store.forgetting import Erasure, forget
from personalm.store.reading import read_table
from personalm.store.store import Store
from personalm.store.verify import verify
from tests.store.alone import forks
from tests.store.faults import (
    KILLED,
    FaultyFiles,
    bad_disk,
    die,
    interrupt,
    no_memory,
    no_room,
)
from tests.store.world import (
    BUCKETS,
    Plan,
    publish,
    read_latest,
    read_view,
    run,
    table_of,
    text_of,
    wanted,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

ADA = "ada-kestrel-8812"
OTHERS = ("bo", "cy", "dee", "eve")
TABLES = ("results", "rejections", "candidates")
FAULTS = (no_room, bad_disk, no_memory, interrupt)


def traces(output: Path, user_id: str, versions: Collection[str] = ("v1", "v2", "v3")) -> list[str]:
    """Return the files that hold a user's id or texts: as bytes, as decoded Parquet, as names."""
    texts = {user_id}
    for version in versions:
        texts |= {text_of(key, version) for key in wanted(user_id)}
    found = []
    for path in sorted(output.rglob("*")):
        content = path.name
        if path.is_symlink():
            content += str(path.readlink())
        if path.is_file():
            content += path.read_bytes().decode(errors="replace")
            with suppress(OSError, ValueError):
                content += repr(pq.ParquetFile(path).read().to_pylist())
        found += [str(path)] if any(text in content for text in texts) else []
    return found


def rows_of_others(output: Path) -> dict[str, list[dict[str, Any]]]:
    """Return every column of everybody else's rows, the time and the run included."""
    return {
        name: [r for r in read_table(output, name).to_pylist() if r["user_id"] != ADA]
        for name in TABLES
    }


def leave_a_killed_run(output: Path, requests: dict[Any, str]) -> None:
    """Journal a run without an end: units, spilled inputs, notes and an unfinished file."""
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        journal = store.start_run("m1")
        plan = Plan(store, requests)
        plan.write(journal)
        journal.withdraw(0, plan.keys)
    journal.spill_folder.mkdir()
    (journal.spill_folder / "rows").write_text(ADA)
    (journal.folder / "spec.json").write_text(ADA)
    (journal.folder / "units" / ".tmp-1").write_text(ADA)


def make_history(output: Path) -> None:
    """Publish three snapshots with the user, each other; leave remains of a killed run."""
    run(output, wanted(*OTHERS))
    for version in ("v1", "v2"):
        run(output, wanted(ADA, version=version))
    leave_a_killed_run(output, wanted(ADA, *OTHERS, version="v3"))
    (output / "_data" / "results" / ".tmp-2").write_text(ADA)
    (output / "_snapshots" / ".tmp-3").write_text(ADA)
    (output / ".tmp-4").write_text(ADA)


def test_nothing_of_a_user_is_left_and_nothing_of_others_is_touched(output: Path) -> None:
    """Rows, candidates, rejections, old snapshots, views, journal, spill and unfinished files."""
    make_history(output)
    assert len(traces(output, ADA)) > 8
    before = rows_of_others(output)

    erasure = forget(output, [ADA])

    assert traces(output, ADA) == []
    assert rows_of_others(output) == before
    assert read_view(output) == read_latest(output) == table_of(wanted(*OTHERS))
    assert verify(output) == ()
    assert sum(erasure.num_rows.values()) == 4
    assert (erasure.snapshot, erasure.num_snapshots) == (4, 2)
    assert erasure.num_units == 1


def test_snapshots_without_the_user_stay(output: Path) -> None:
    """What never held the user can still be gone back to."""
    make_history(output)
    first = (output / "_snapshots" / "00000001.json").read_bytes()

    forget(output, [ADA])

    names = sorted(path.name for path in (output / "_snapshots").iterdir())
    assert names == ["00000001.json", "00000004.json"]
    assert (output / "_snapshots" / "00000001.json").read_bytes() == first


def test_several_users_are_forgotten_at_once(output: Path) -> None:
    """In one snapshot, whatever buckets they lie in."""
    make_history(output)

    erasure = forget(output, [ADA, "bo", "cy"])

    assert erasure.snapshot == 4
    assert read_view(output) == table_of(wanted("dee", "eve"))
    for user in (ADA, "bo", "cy"):
        assert traces(output, user) == []


def test_the_last_user_can_be_forgotten(output: Path) -> None:
    """The tables are there, empty."""
    run(output, wanted(ADA))

    forget(output, [ADA])

    assert traces(output, ADA) == []
    assert read_view(output) == read_latest(output) == {}
    assert verify(output) == ()


def test_who_is_forgotten_already_or_unknown_changes_nothing(output: Path) -> None:
    """It is said, and it is no error."""
    make_history(output)
    forget(output, [ADA])
    before = rows_of_others(output)
    record = max((output / "_snapshots").iterdir()).read_bytes()

    again = forget(output, [ADA])
    unknown = forget(output, ["nobody", "../x", ""])

    assert again.is_empty
    assert unknown.is_empty
    assert (again, unknown) == (Erasure(), Erasure())
    assert rows_of_others(output) == before
    assert max((output / "_snapshots").iterdir()).read_bytes() == record


def test_a_folder_without_a_snapshot_is_cleared_too(output: Path) -> None:
    """What a first run left that was killed."""
    leave_a_killed_run(output, wanted(ADA, *OTHERS))

    assert forget(output, [ADA]).num_units == 1
    assert traces(output, ADA) == []


def test_a_run_under_way_refuses_to_forget_and_nothing_is_touched(output: Path) -> None:
    """At once; after its end the user is forgotten, published meanwhile or not."""
    run(output, wanted(*OTHERS))
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        journal = store.start_run("m1")
        plan = Plan(store, wanted(ADA))
        plan.write(journal)
        with pytest.raises(StoreLockedError, match="held by another run"):
            forget(output, [ADA])
        publish(store, journal, plan)

    forget(output, [ADA])

    assert traces(output, ADA) == []


def test_a_killed_run_that_goes_on_does_not_bring_the_user_back(output: Path) -> None:
    """Its units without the user are still there, and are not written again."""
    requests = wanted(*OTHERS, "fay", "gil", "hal") | wanted(ADA)
    leave_a_killed_run(output, requests)
    forget(output, [ADA])
    del requests[next(iter(wanted(ADA)))]

    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        journal = store.start_run("m1")
        assert journal.num_rows > 0
        plan = Plan(store, requests)
        plan.write(journal)
        publish(store, journal, plan)

    assert traces(output, ADA) == []
    assert read_view(output) == table_of(requests)


def test_a_damaged_old_snapshot_goes_with_its_files(output: Path) -> None:
    """It cannot be known whom it holds. Damage in the newest one is not passed over."""
    make_history(output)
    forgetting_too_late = output.with_name("newest")
    shutil.copytree(output, forgetting_too_late, symlinks=True)
    (output / "_snapshots" / "00000002.json").write_text(f"{ADA} and half a record")

    forget(output, [ADA])

    assert traces(output, ADA) == []
    assert verify(output) == ()
    for file in (forgetting_too_late / "_data").rglob("*.parquet"):
        file.write_bytes(b"PAR1")
    with pytest.raises(StoreDamagedError):
        forget(forgetting_too_late, [ADA])


def test_only_an_output_folder_can_forget(output: Path) -> None:
    """Another folder is refused and stays as it is."""
    output.mkdir()

    with pytest.raises(StoreError, match="no output folder"):
        forget(output, [ADA])

    assert list(output.iterdir()) == []


def check_again(output: Path, before: dict[str, list[dict[str, Any]]], step: int) -> None:
    """Look at what a broken erasure left, and do it again."""
    old_or_new = (table_of(wanted(*OTHERS)), table_of(wanted(*OTHERS) | wanted(ADA, version="v2")))
    assert read_view(output) in old_or_new, f"step {step}"
    assert read_latest(output) in old_or_new, f"step {step}"
    assert rows_of_others(output) == before, f"step {step}"
    forget(output, [ADA])
    assert traces(output, ADA) == [], f"step {step}"
    assert rows_of_others(output) == before, f"step {step}"
    assert verify(output) == (), f"step {step}"


def test_an_erasure_that_fails_at_any_step_is_ended_by_the_next(output: Path) -> None:
    """Full disk, broken disk, no memory and Ctrl-C in turn; others see their rows throughout."""
    make_history(output)
    before = rows_of_others(output)
    for step in count(1, 3):
        place = output.with_name(f"step-{step}")
        shutil.copytree(output, place, symlinks=True)
        files = FaultyFiles(step, FAULTS[step % len(FAULTS)])
        with suppress(StoreError, MemoryError, KeyboardInterrupt):
            forget(place, [ADA], files=files)
        if not files.has_fired:
            break
        check_again(place, before, step)
        shutil.rmtree(place)
    assert step > 25


@forks
def test_an_erasure_that_is_killed_at_any_step_is_ended_by_the_next(output: Path) -> None:
    """The process ends with nothing cleaned up."""
    make_history(output)
    before = rows_of_others(output)
    for step in count(1, 2):
        place = output.with_name(f"step-{step}")
        shutil.copytree(output, place, symlinks=True)
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                forget(place, [ADA], files=FaultyFiles(step, die))
                os._exit(0)
            os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in {0, KILLED}
        if code == 0:
            break
        check_again(place, before, step)
        shutil.rmtree(place)
    assert step > 25


def test_whoever_lost_the_lock_cannot_commit_the_user_again(output: Path) -> None:
    """A driver that was taken for dead goes on after the erasure: its publication is refused."""
    run(output, wanted(ADA, *OTHERS))
    zombie = Store.open(output, buckets=BUCKETS)
    with zombie.lock():
        journal = zombie.start_run("m1")
        plan = Plan(zombie, wanted(ADA, *OTHERS, version="v2"))
        plan.write(journal)
        (output / "_lock").unlink()
        forget(output, [ADA])
        with pytest.raises(StoreError):
            publish(zombie, journal, plan)

    forget(output, [ADA])
    assert traces(output, ADA) == []
    assert ADA not in {key.user_id for key in read_view(output)}


def test_what_cannot_be_removed_is_an_error(output: Path) -> None:
    """Nobody is told that a user is forgotten while a file of theirs is still there."""

    class Stubborn(LocalFiles):
        def remove(self, path: Path) -> None:
            if path.parent.name == "results":
                raise StoreError(f"{path} cannot be written")
            super().remove(path)

    make_history(output)

    with pytest.raises(StoreError, match="cannot be written"):
        forget(output, [ADA], files=Stubborn())
    forget(output, [ADA])
    assert traces(output, ADA) == []
