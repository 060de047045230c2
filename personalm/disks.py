"""Full disks, told everywhere in the same words: what found no room, and how much there is."""

from __future__ import annotations

import errno
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from personalm.errors import PersonalmError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PROBE = bytes(1 << 20)


def is_of_a_full_disk(error: OSError) -> bool:
    """Tell whether the system had no room, or allowed no more of it."""
    return error.errno in _FULL


def disk_is_full(path: Path) -> StoreError:
    """Return the error of a path that found no room on its disk; the path need not exist."""
    return StoreError(
        f"no room for {path}: {_free_space(path)}",
        remedy="Make room and run again; what is published is as it was.",
    )


@contextmanager
def full_disk_in_words(path: Path) -> Iterator[None]:
    """Turn what the system says of a full disk into a StoreError; all else goes through."""
    try:
        yield
    except OSError as error:
        if is_of_a_full_disk(error):
            raise disk_is_full(path) from None
        raise


@contextmanager
def full_disk_of_libraries_in_words(folder: Path) -> Iterator[None]:
    """Turn what a library raises while it fills a folder into a StoreError, where the disk is full.

    torch and safetensors raise classes of their own for it, and torch does not say why.
    """
    try:
        yield
    except PersonalmError:
        raise
    except Exception as error:
        if _says_full(error) or not _has_room(folder):
            raise disk_is_full(folder) from None
        raise


def _says_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return is_of_a_full_disk(error)
    # So says what is written in Rust.
    return any(f"(os error {number})" in str(error) for number in _FULL)


def _has_room(folder: Path) -> bool:
    """Try whether a little more can be written; a quota is in no figure of free space."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
    except OSError as error:
        return not is_of_a_full_disk(error)
    return True


def _free_space(path: Path) -> str:
    for folder in path.parents:
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB are free on its disk"
    return "the free space is unknown"
