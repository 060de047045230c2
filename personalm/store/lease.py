"""Lease: the lock of a place that has no locks, an object that its holder renews.

It keeps a second run from starting in vain, and protects nothing: two runs that both believe to
hold it are kept apart by the commit. A holder that died on this machine is known to be gone at
once, one elsewhere when its lease has run out.
"""

from __future__ import annotations

import json
import logging
import platform
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from os import getpid
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self

from personalm.errors import StoreError, StoreLockedError

if TYPE_CHECKING:
    from personalm.store.objects import Objects

_log = logging.getLogger(__name__)

TERM = timedelta(seconds=120)
RENEWAL = timedelta(seconds=30)


class Lease:
    """A lease on a lock object, renewed by a thread until it is left."""

    def __init__(self, files: Objects, path: Path, note: str) -> None:
        self._files = files
        self._path = path
        self._note = note
        self._token = secrets.token_hex(16)
        self._ended = Event()
        self._thread = Thread(target=self._renew, name="personalm-lease", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease. Raises StoreLockedError where another holds it."""
        try:
            self._files.create(self._path, self._record())
        except FileExistsError:
            self._take_over()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        # What is left is taken for dead by the next run on this machine, and elsewhere in time.
        with suppress(StoreError, FileNotFoundError):
            if self._is_ours():
                self._files.remove(self._path)

    def _take_over(self) -> None:
        holder = self._holder()
        if _is_held(holder):
            note = str(holder.get("note", ""))[:200]
            raise StoreLockedError(
                f"{self._path.parent} is held by another run: {note}",
                remedy=f"Wait for its end. Should it have died on another machine, its lock ends "
                f"at {holder.get('until')}.",
            )
        self._files.remove(self._path)
        try:
            self._files.create(self._path, self._record())
        except FileExistsError:
            raise StoreLockedError(
                f"{self._path.parent} was taken by another run just now",
                remedy="Wait for its end.",
            ) from None
        _log.info("%s: the lock of a run that died is taken over", self._path.parent)

    def _renew(self) -> None:
        while not self._ended.wait(RENEWAL.total_seconds()):
            try:
                if not self._is_ours():
                    _log.warning(
                        "%s: another run has taken the lock; whoever commits first wins",
                        self._path.parent,
                    )
                    return
                self._files.replace(self._path, self._record())
            except (StoreError, FileNotFoundError) as error:
                _log.warning("the lock could not be renewed: %s", error)

    def _is_ours(self) -> bool:
        return self._holder().get("token") == self._token

    def _holder(self) -> dict[str, Any]:
        try:
            holder = json.loads(self._files.read(self._path))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return holder if isinstance(holder, dict) else {}

    def _record(self) -> bytes:
        until = datetime.now(UTC) + TERM
        record = {
            "note": self._note,
            "token": self._token,
            "until": until.isoformat(timespec="seconds"),
            "machine": _machine(),
            "process": getpid(),
            "started": _start_of(getpid()),
        }
        return json.dumps(record).encode()


def _is_held(holder: dict[str, Any]) -> bool:
    """Say whether the holder of a lock may be alive; a lock that cannot be read is nobody's."""
    try:
        until = datetime.fromisoformat(holder["until"])
        process, machine, started = holder["process"], holder["machine"], holder["started"]
        if until < datetime.now(UTC):
            return False
    except (KeyError, TypeError, ValueError):
        return False
    return bool(machine != _machine() or _start_of(process) == started)


def _machine() -> str:
    """Return a hash of what tells this machine, or this container on it, from others."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _start_of(process: object) -> str | None:
    """Return when a process of this machine started, in ticks; `None` where it is gone."""
    with suppress(OSError, IndexError):
        # The name before it is in brackets, and may hold anything.
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        fields = state.rpartition(")")[2].split()
        return None if fields[0] in {"Z", "X"} else fields[19]
    return None
