"""Two at once: runs, publishers, and a reader beside a writer."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from personalm.errors import StoreError, StoreLockedError
from personalm.store.files import LocalFiles
from personalm.store.journal import Journal
from personalm.store.reading import read_table
from personalm.store.store import Store
from personalm.store.tidying import RETAINED
from personalm.store.verify import verify
from tests.store.alone import forks
from tests.store.world import (
    BUCKETS,
    Plan,
    publish,
    read_latest,
    read_view,
    run,
    table_of,
    wanted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from personalm.records import Key

USERS = ("ada", "bo", "cy")


def in_a_child(work: Callable[[], int]) -> int:
    """Do work in a forked process; return its id."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return child


def exit_code_of(child: int) -> int:
    """Wait for a forked process."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_second_run_is_refused_at_once(output: Path) -> None:
    """Whoever comes second is told, and what the first has is untouched."""
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()}, since 20"):
            run(output, wanted("bo"))
        journal = store.start_run("m1")
        plan = Plan(store, wanted(*USERS))
        plan.write(journal)
        publish(store, journal, plan)
    run(output, wanted("bo", version="v2"))

    assert read_view(output) == table_of(wanted("ada", "cy") | wanted("bo", version="v2"))


@forks
def test_of_two_publishers_one_wins_and_the_other_says_so(output: Path) -> None:
    """The lock file was deleted by hand: the commit itself refuses the second."""
    run(output, wanted("ada"))
    tables = {"m1": wanted(*USERS, version="v1"), "m2": wanted(*USERS, version="v2")}
    for number in range(2, 7):
        codes = publish_at_once(output, tables)

        assert sorted(codes.values()) == [0, 1]
        winner = next(name for name, code in codes.items() if code == 0)
        assert read_view(output) == read_latest(output) == table_of(tables[winner])
        assert max((output / "_snapshots").iterdir()).name == f"{number:08d}.json"
        tables = {name: wanted(*USERS, version=f"{name}-{number}") for name in tables}
    run(output, tables["m2"], fingerprint="m2")
    assert read_view(output) == table_of(tables["m2"])


def publish_at_once(output: Path, tables: dict[str, dict[Key, str]]) -> dict[str, int]:
    """Publish two runs that meet just before the commit; return their exit codes, 1 for refused."""
    barrier = get_context("fork").Barrier(2, timeout=20)

    class Meeting(LocalFiles):
        def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
            if path.parent.name == "_snapshots":
                barrier.wait()
            super().create(path, data)

    def work(store: Store, journal: Journal, plan: Plan) -> int:
        try:
            publish(store, journal, plan)
        except StoreError as error:
            return 1 if "another run has published or tidied" in str(error) else 2
        return 0

    children = {}
    with ExitStack() as locks:
        for name, requests in tables.items():
            store = Store.open(output, buckets=BUCKETS, files=Meeting())
            locks.enter_context(store.lock())
            (output / "_lock").unlink()
            # Not by `start_run`, which would delete the journal of the other.
            folder = output / "_runs" / f"run-{token_hex(4)}"
            journal = Journal.begin(folder, fingerprint=name, files=LocalFiles())
            plan = Plan(store, requests)
            plan.write(journal)
            children[name] = in_a_child(partial(work, store, journal, plan))
    return {name: exit_code_of(child) for name, child in children.items()}


@forks
def test_a_reader_sees_one_snapshot_whole_while_others_are_committed(output: Path) -> None:
    """Each read is one of the tables that were committed, never older than the one before."""
    versions = [f"v{number}" for number in range(31)]
    tables = [table_of(wanted(*USERS, version=version)) for version in versions]
    run(output, wanted(*USERS, version=versions[0]))

    def commit() -> int:
        for version in versions[1:]:
            run(output, wanted(*USERS, version=version))
        return 0

    writer = in_a_child(commit)
    seen = [0]
    while seen[-1] < len(versions) - 1:
        rows = read_table(output, "results").to_pylist()
        texts = {(row["user_id"], row["text"]) for row in rows}
        wholes = [
            number
            for number, table in enumerate(tables[seen[-1] :], start=seen[-1])
            if texts == {(k.user_id, text) for k, (text, _) in table.items() if len(text) == 64}
        ]
        assert wholes, f"a mix after snapshot {seen[-1]}"
        seen.append(wholes[0])
    assert exit_code_of(writer) == 0
    assert len(set(seen)) > 3


def test_a_reader_that_resolved_latest_before_a_commit_still_finds_its_files(output: Path) -> None:
    """The view stays as long as its snapshot is kept, and goes with it."""
    run(output, wanted(*USERS))
    before = (output / "latest").resolve()
    names = {str(path.relative_to(before)) for path in before.rglob("*.parquet")}
    run(output, wanted(*USERS, version="v2"))

    assert {str(path.relative_to(before)) for path in before.rglob("*.parquet")} == names
    assert (output / "latest").resolve() != before
    for number in range(RETAINED - 1):
        assert before.exists()
        run(output, wanted(*USERS, version=f"w{number}"))
    assert not before.exists()


def test_what_a_run_without_its_lock_has_written_is_not_committed_once_it_was_tidied_away(
    output: Path,
) -> None:
    """Tidying bars the number that such a run would commit under: it is refused, and says so."""
    run(output, wanted("ada"))
    slow = Store.open(output, buckets=BUCKETS, files=Tidied(output))
    with slow.lock():
        (output / "_lock").unlink()
        journal = slow.start_run("m1")
        plan = Plan(slow, wanted(*USERS, version="v2"))
        plan.write(journal)
        with pytest.raises(StoreError, match="another run has published or tidied"):
            publish(slow, journal, plan)

    assert verify(output) == ()
    assert read_view(output) == table_of(wanted("ada"))
    run(output, wanted(*USERS, version="v2"))
    assert read_view(output) == read_latest(output) == table_of(wanted(*USERS, version="v2"))


class Tidied(LocalFiles):
    """Another run begins, and tidies, when this one is about to commit."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._is_done = False

    def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write a file; before a record, let the other run begin."""
        if path.parent.name == "_snapshots" and not self._is_done:
            self._is_done = True
            other = Store.open(self._output, buckets=BUCKETS)
            with other.lock():
                other.start_run("m2")
        super().create(path, data)
