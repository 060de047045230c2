"""Local files, written so that a crash at any point leaves each of them whole or absent.

`LocalFiles` is the only object of the store that touches the disk. It writes bytes and knows
neither Parquet nor what the files mean. Every change it makes goes through `LocalFiles.call`.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from personalm.disks import disk_is_full, is_of_a_full_disk
from personalm.errors import StoreError, StoreLockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TEMPORARY = ".tmp-"
"""Start of the names of files that are not finished; readers pass over hidden names."""

_PRIVATE = 0o700
_SHARED = 0o777
_NO_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)


class LocalFiles:
    """Creates, replaces, reads and removes files.

    Methods raise StoreError naming the path, and the free space where a disk is full. It is a
    `personalm.store.objects.Objects`; links and folder syncs are its own, for views.
    """

    _has_links = True

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one step on the disk; a subclass can record it, fail, or die here."""
        return function(*args, **kwargs)

    def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write a new file, in pieces where it is large, that is whole once its name exists.

        Raises FileExistsError, and leaves the file as it is, where the name is taken.
        """
        with _in_words(path, FileExistsError):
            temporary = _beside(path)
            try:
                self.call(_write, temporary, data)
                self._commit(temporary, path)
            except FileNotFoundError:
                if not path.parent.is_dir():
                    raise
                raise StoreError(
                    f"{path} cannot be written: another run has tidied {path.parent} meanwhile",
                    remedy="Run again when the other one has ended.",
                ) from None
            finally:
                with suppress(OSError):
                    self.call(os.unlink, temporary)
            self.call(_sync, path.parent)

    def replace(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write a file in place of the one of that name; readers see the old or the new one."""
        with _in_words(path):
            temporary = _beside(path)
            try:
                self.call(_write, temporary, data)
                self.call(os.replace, temporary, path)
            finally:
                with suppress(OSError):
                    self.call(os.unlink, temporary)
            self.call(_sync, path.parent)

    def point(self, path: Path, target: str) -> None:
        """Make a symbolic link to `target`, relative to its folder, in place of an older one."""
        with _in_words(path):
            temporary = _beside(path)
            try:
                self.call(os.symlink, target, temporary)
                self.call(os.replace, temporary, path)
            finally:
                with suppress(OSError):
                    self.call(os.unlink, temporary)
            self.call(_sync, path.parent)

    def share(self, source: Path, path: Path) -> None:
        """Give a file a second name: a hard link, a symbolic one where there are no hard links.

        Raises FileExistsError where the name is taken.
        """
        with _in_words(path, FileExistsError):
            if not self._link(source, path):
                self.call(os.symlink, os.path.relpath(source, path.parent), path)

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        with _in_words(folder):
            self.call(_sync, folder)

    def make_folder(self, path: Path, *, private: bool = False) -> None:
        """Make a folder and its parents where they are missing; private ones are the owner's."""
        if path.is_dir():
            return
        if path != path.parent:
            self.make_folder(path.parent)
        with _in_words(path):
            try:
                self.call(os.mkdir, path, _PRIVATE if private else _SHARED)
            except FileExistsError:
                if not path.is_dir():
                    raise
            self.call(_sync, path.parent)

    def move_folder(self, source: Path, target: Path) -> None:
        """Give a finished folder another name, durably.

        Raises FileExistsError, and changes nothing, where a folder with files has that name.
        """
        with _in_words(target, FileExistsError):
            try:
                self.call(os.rename, source, target)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                    raise
                raise FileExistsError(
                    errno.EEXIST, os.strerror(errno.EEXIST), str(target)
                ) from None
            self.call(_sync, target.parent)
            if source.parent != target.parent:
                self.call(_sync, source.parent)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        with _in_words(path), suppress(FileNotFoundError):
            self.call(os.unlink, path)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all that is in it; one that is gone already is fine."""
        with _in_words(path), suppress(FileNotFoundError):
            # Of a link only the link goes, whatever it leads to.
            self.call(os.unlink if path.is_symlink() else shutil.rmtree, path)

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file. Raises FileNotFoundError where there is none."""
        with _in_words(path, FileNotFoundError, verb="read"):
            return self.call(_read, path)

    def target_of(self, path: Path) -> str | None:
        """Return what a symbolic link points to, `None` where there is no such link."""
        return str(path.readlink()) if path.is_symlink() else None

    def names(self, folder: Path) -> tuple[str, ...]:
        """Return the names in a folder, sorted; none where there is no such folder."""
        with _in_words(folder, verb="read"):
            try:
                return tuple(sorted(self.call(os.listdir, folder)))
            except FileNotFoundError:
                return ()

    @contextmanager
    def lock(self, path: Path, note: str) -> Iterator[None]:
        """Hold a file against every other process; the lock goes when the process does.

        `note` tells others who holds it. Raises StoreLockedError at once where another does.
        """
        with _in_words(path):
            # A link would lead to a file that is none of ours, and be written to.
            lock = self.call(os.open, path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            _take(lock, path)
            with _in_words(path):
                self.call(os.ftruncate, lock, 0)
                self.call(os.pwrite, lock, note.encode(), 0)
            self._probe(path.parent)
            yield
        finally:
            # Said aloud, because a child that was forked meanwhile holds the file open too.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _probe(self, folder: Path) -> None:
        """Find out whether hard links can be made in a folder."""
        source, target = _beside(folder / "_"), _beside(folder / "_")
        with _in_words(source):
            try:
                os.close(self.call(_claim, source))
                self._has_links = self._link(source, target)
            finally:
                for path in (source, target):
                    with suppress(OSError):
                        self.call(os.unlink, path)
        if not self._has_links:
            _log.warning("%s: no hard links here; only the lock keeps two runs apart", folder)

    def _link(self, source: Path, target: Path) -> bool:
        """Give a file a second name; say no where the file system cannot."""
        if not self._has_links:
            return False
        try:
            self.call(os.link, source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        return True

    def _commit(self, temporary: Path, path: Path) -> None:
        if self._link(temporary, path):
            return
        # An empty file claims the name, which refuses a second writer; renaming onto our own
        # claim fills it at once. A claim that a crash leaves empty counts as no file.
        claim = self.call(_claim, path)
        try:
            if not _leads_to(path, claim):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            self.call(os.replace, temporary, path)
        finally:
            # Held open until here, so that no other file can have got its inode.
            os.close(claim)


def _take(lock: int, path: Path) -> None:
    found = os.fstat(lock)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise StoreError(f"{path} is no file of its own", remedy="Remove it and run again.")
    try:
        with _in_words(path, BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 200, 0).decode(errors="replace").strip()
        raise StoreLockedError(
            f"{path.parent} is held by another run" + (f": {holder}" if holder else ""),
            remedy="Wait for its end. The lock goes with its process: there is no file to remove.",
        ) from None


def _beside(path: Path) -> Path:
    return path.with_name(TEMPORARY + secrets.token_hex(8))


def _write(path: Path, data: bytes | Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines((data,) if isinstance(data, bytes) else data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    """Read a regular file; pipes, devices and links to nothing are none of the store's."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise StoreError(f"{path} leads nowhere", remedy="Remove it and run again.") from None
        raise
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StoreError(f"{path} is no regular file", remedy="Remove it and run again.")
        return file.read()


def _claim(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL, 0o666)


def _leads_to(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _in_words(path: Path, *passed: type[OSError], verb: str = "written") -> Iterator[None]:
    """Turn what the system says into a StoreError that names the path; `passed` go through."""
    try:
        yield
    except passed:
        raise
    except OSError as error:
        if is_of_a_full_disk(error):
            raise disk_is_full(path) from error
        reason = error.strerror or type(error).__name__
        raise StoreError(f"{path} cannot be {verb}: {reason}") from error
