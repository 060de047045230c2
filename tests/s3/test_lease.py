"""Laws of the lock on an object store: it tells a second run, and ends with its holder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from personalm.errors import StoreLockedError
from personalm.remote import place_of
from personalm.store import lease
from personalm.store.object_files import ObjectFiles
from personalm.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path


ANOTHER = {"token": "another's"}


@pytest.fixture
def lock(s3: str) -> Path:
    """Return the place of a lock in a new store."""
    Store.open(s3, buckets=1)
    return place_of(s3) / "_lock"


def rewrite(lock: Path, **changes: object) -> None:
    """Change what a lock says of its holder, as another holder would have written it."""
    holder = json.loads(ObjectFiles().read(lock))
    ObjectFiles().replace(lock, json.dumps({**holder, **changes}).encode())


def leave_lock(lock: Path, **changes: object) -> None:
    """Leave a lock behind as a killed process does."""
    held = lease.Lease(ObjectFiles(), lock, "somebody")
    ObjectFiles().create(lock, held._record())
    rewrite(lock, **changes)


def test_a_second_run_is_refused_at_once_and_told_by_whom(lock: Path) -> None:
    """And the lock is gone when its holder has left it."""
    store = Store.require(str(lock.parent))
    with (
        store.lock(),
        pytest.raises(StoreLockedError, match=f"process {os.getpid()}, since 20"),
        Store.require(str(lock.parent)).lock(),
    ):
        pass

    assert "_lock" not in ObjectFiles().names(lock.parent)


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(lock: Path) -> None:
    """A run that was killed can be resumed at once."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    leave_lock(lock, process=ended.pid)

    with Store.require(str(lock.parent)).lock():
        assert json.loads(ObjectFiles().read(lock))["process"] == os.getpid()


def test_another_process_with_the_number_of_a_dead_one_does_not_hold_its_lock(lock: Path) -> None:
    """Numbers of processes come again; their times of start do not."""
    leave_lock(lock, started="1")

    with Store.require(str(lock.parent)).lock():
        pass


def test_a_lock_from_elsewhere_holds_until_it_has_run_out(lock: Path) -> None:
    """Nobody here can know whether that process lives."""
    leave_lock(lock, machine="other", process=1)
    with pytest.raises(StoreLockedError, match="its lock ends at 20"), _locked(lock):
        pass

    rewrite(lock, until=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    with _locked(lock):
        pass


def test_a_lock_is_renewed_while_it_is_held(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run keeps it, and one whose lock was taken leaves the other's alone."""
    monkeypatch.setattr(lease, "RENEWAL", timedelta(seconds=0.05))
    with lease.Lease(ObjectFiles(), lock, "long") as held:
        rewrite(lock, until=datetime.now(UTC).isoformat())
        while json.loads(ObjectFiles().read(lock))["until"] < datetime.now(UTC).isoformat():
            pass
        rewrite(lock, **ANOTHER)
        held._thread.join(timeout=5)
        assert not held._thread.is_alive()

    assert json.loads(ObjectFiles().read(lock)).items() >= ANOTHER.items()


def _locked(lock: Path) -> lease.Lease:
    return lease.Lease(ObjectFiles(), lock, "second")
