"""A run that fails or is killed at any step leaves the old table or the new one, whole."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import StoreDamagedError, StoreError
from personalm.store.files import LocalFiles
from personalm.store.store import Store
from personalm.store.verify import verify
from tests.store.alone import forks
from tests.store.faults import (
    KILLED,
    FaultyFiles,
    LinklessFiles,
    bad_disk,
    die,
    interrupt,
    no_memory,
    no_room,
)
from tests.store.world import BUCKETS, read_latest, read_view, run, table_of, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

OLD = wanted("ada", "bo", "cy")
NEW = wanted("bo", "cy", "dee", version="v2")
FAULTS = (no_room, bad_disk, no_memory, interrupt)


def change(output: Path, files: LocalFiles | None = None) -> None:
    """Run with other inputs: one user leaves, one comes, two change."""
    run(output, NEW, withdrawn={"ada"}, files=files)


def die_in_a_child(output: Path, files: FaultyFiles) -> None:
    """Run in a process of its own that is killed at the step."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            change(output, files)
            os._exit(0)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    files.num_steps = files.num_steps if code == 0 else 10**6
    assert code in {0, KILLED}


def fail(output: Path, files: FaultyFiles) -> None:
    """Run in this process, and take the fault."""
    with suppress(StoreError, MemoryError, KeyboardInterrupt):
        change(output, files)


def loop(
    output: Path,
    make: Callable[[int], FaultyFiles],
    attempt: Callable[[Path, FaultyFiles], None],
    every: int = 1,
) -> int:
    """Fault the n-th step of a run for every n; return the number of steps."""
    # One bucket of three tables and two units: the loop stays short.
    run(output, OLD, buckets=1)
    for step in count(1, every):
        place = output.with_name(f"step-{step}")
        shutil.copytree(output, place, symlinks=True)
        files = make(step)
        attempt(place, files)
        if not files.has_fired:
            break
        old_or_new = (table_of(OLD), table_of(NEW))
        assert read_view(place) in old_or_new, f"step {step}"
        assert read_latest(place) in old_or_new, f"step {step}"
        check_rerun(place)
        shutil.rmtree(place)
    return step


def check_rerun(output: Path) -> None:
    """Run again, clean: it ends right, whatever came before it."""
    change(output)
    assert read_latest(output) == table_of(NEW)
    assert verify(output) == ()
    assert list((output / "_runs").iterdir()) == []
    assert not list(output.rglob(".tmp-*"))


def test_a_failed_run_leaves_the_old_table_or_the_new_one(output: Path) -> None:
    """Full disk, broken disk, no memory and Ctrl-C in turn, at every step of a run."""
    assert loop(output, lambda n: FaultyFiles(n, FAULTS[n % len(FAULTS)]), fail) > 40


@forks
def test_a_killed_run_leaves_the_old_table_or_the_new_one(output: Path) -> None:
    """The process ends at every step of a run, with nothing cleaned up."""
    assert loop(output, lambda n: FaultyFiles(n, die), die_in_a_child) > 40


@forks
def test_a_killed_run_is_safe_without_hard_links(output: Path) -> None:
    """Every eighth step, on a file system that refuses links."""
    loop(output, lambda n: LinklessFiles(n, die), die_in_a_child, every=8)


@forks
def test_two_failures_in_a_row_are_no_worse_than_one(output: Path) -> None:
    """The cleaning up of a killed run is killed too."""
    run(output, OLD)
    for step in range(5, 70, 13):
        place = output.with_name(f"step-{step}")
        shutil.copytree(output, place, symlinks=True)
        die_in_a_child(place, FaultyFiles(60 - step // 2, die))
        die_in_a_child(place, FaultyFiles(step, die))
        check_rerun(place)


def test_a_full_disk_is_named_with_its_free_space(output: Path) -> None:
    """The message says which path had no room and how much is left."""

    class WritesFail(LocalFiles):
        def __init__(self, fault: Callable[[], None]) -> None:
            self._fault = fault

        def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            if function.__name__ == "_write":
                self._fault()
            return super().call(function, *args, **kwargs)

    run(output, OLD)
    with pytest.raises(StoreError, match=r"no room for .*/_runs/.*: [\d,.]+ MB are free"):
        change(output, WritesFail(no_room))
    with pytest.raises(StoreError, match=r"_runs.* cannot be written: Input/output error"):
        change(output, WritesFail(bad_disk))


def test_a_failed_cleanup_does_not_undo_a_commit(output: Path) -> None:
    """What cannot be removed after the commit stays for the next run; the run has succeeded."""

    class Stubborn(FaultyFiles):
        def remove_tree(self, path: Path) -> None:
            raise StoreError(f"{path} cannot be written")

    run(output, OLD, files=Stubborn(10**6, bad_disk))

    assert len(list((output / "_runs").iterdir())) == 1
    assert read_latest(output) == table_of(OLD)
    check_rerun(output)


def test_a_commit_that_latest_missed_is_shown_by_the_next_run(output: Path) -> None:
    """Before that run removes or writes anything."""

    class Pointless(LocalFiles):
        def point(self, path: Path, target: str) -> None:
            raise StoreError(f"{path} cannot be written: {target}")

    run(output, OLD)
    with pytest.raises(StoreError, match="latest cannot be written"):
        change(output, Pointless())
    assert read_latest(output) == table_of(OLD)
    assert read_view(output) == table_of(NEW)
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        store.start_run("m1")
    assert read_latest(output) == table_of(NEW)


@forks
def test_the_first_steps_of_a_new_folder_can_be_killed(output: Path) -> None:
    """With and without hard links: the next run makes what is missing."""
    for make in (FaultyFiles, LinklessFiles):
        for step in range(1, 16, 2):
            place = output.with_name(f"{make.__name__}-{step}")
            die_in_a_child(place, make(step, die))
            check_rerun(place)


def test_a_disk_that_loses_bytes_is_caught_before_the_commit(output: Path) -> None:
    """What was written is read back; a file that differs is never named in a record."""

    class Forgetful(LocalFiles):
        def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
            is_data = path.parent.name == "results"
            assert isinstance(data, bytes)
            super().create(path, data[:-8] if is_data else data)

    run(output, OLD)
    with pytest.raises(StoreDamagedError, match="differs from its checksum"):
        run(output, NEW, files=Forgetful())
    assert read_view(output) == table_of(OLD)
