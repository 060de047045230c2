"""Temporary folders: what must lie on a disk of this machine for a while, and in no output folder.

They hold personal data. All lie below one private folder of this user in the system's folder for
temporary files (TMPDIR). Each has a lock beside it, which goes with its process: whoever comes
next removes what a process that was killed has left.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.store.files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIVATE = 0o700
_SUFFIX = ".lock"
_LOCK = re.compile(r"here-[0-9a-f]{16}\.lock")
_TRIES = 5


def private_base() -> Path:
    """Return the private folder, made where it is missing. Raises StoreError where it is not ours.

    Others may write to the folder for temporary files, and could have made it before us.
    """
    base = _base()
    LocalFiles().make_folder(base, private=True)
    if not _is_ours(base):
        raise StoreError(
            f"{base} is not a private folder of this user",
            remedy="Remove it, or set TMPDIR to a folder of your own.",
        )
    return base


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a private folder of its own, which goes at the end, or at the next start here.

    Raises StoreError where it cannot be made.
    """
    base, files = private_base(), LocalFiles()
    with suppress(StoreError):  # what cannot be removed is in nobody's way
        clear_temporary()
    folder, lock = _claim(base)
    try:
        files.make_folder(folder, private=True)
        yield folder
    finally:
        _remove(files, folder)
        os.close(lock)


def clear_temporary() -> int:
    """Remove the folders of processes that have ended, and return their number.

    Raises StoreError where one cannot be removed.
    """
    base, files = _base(), LocalFiles()
    if not _is_ours(base):
        return 0
    num_cleared = 0
    for name in filter(_LOCK.fullmatch, files.names(base)):
        lock = _hold(base / name)
        if lock is not None:
            _remove(files, base / name.removesuffix(_SUFFIX))
            os.close(lock)
            num_cleared += 1
    return num_cleared


def _claim(base: Path) -> tuple[Path, int]:
    """Return the path of a folder that is to be made, and its lock, which is held."""
    for _ in range(_TRIES):
        folder = base / f"here-{secrets.token_hex(8)}"
        # Whoever clears at this moment may take the lock for a leftover, and be faster.
        lock = _hold(_lock_of(folder), os.O_CREAT | os.O_EXCL)
        if lock is not None:
            return folder, lock
    raise StoreError(
        f"{base} takes no folder with a lock", remedy="Set TMPDIR to a folder of a local disk."
    )


def _remove(files: LocalFiles, folder: Path) -> None:
    """Remove a folder whose lock is held, and then its lock: no folder is without one."""
    files.remove_tree(folder)
    files.remove(_lock_of(folder))


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _SUFFIX)


def _hold(path: Path, flags: int = 0) -> int | None:
    """Return a lock that is held until it is closed, `None` where it is another's or has gone."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(lock), path.lstat())
    except OSError:
        is_there = False
    if is_there:
        return lock
    os.close(lock)
    return None


def _base() -> Path:
    return Path(tempfile.gettempdir()) / f"personalm-{os.getuid()}"


def _is_ours(base: Path) -> bool:
    try:
        found = base.lstat()
    except FileNotFoundError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and stat.S_IMODE(found.st_mode) == _PRIVATE
    )
