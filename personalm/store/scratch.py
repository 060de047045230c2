"""Scratch: where a run whose output lies on an object store keeps what must lie on a disk.

Spilled inputs are personal data: they lie below one private folder of this user in the system's
folder for temporary files (TMPDIR), under a hash of the output's place and the run's id.
"""

from __future__ import annotations

import os
import stat
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.remote import RemotePath
from personalm.store.files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Collection

_PRIVATE = 0o700


def scratch_of(folder: Path) -> Path | None:
    """Return a local folder for the run of a remote one, which need not exist; else `None`."""
    if not isinstance(folder, RemotePath):
        return None
    return _base() / f"{_place(folder.parent)}-{folder.name}"


def clear_scratch(runs: Path, run_ids: Collection[str]) -> None:
    """Remove what runs have left here that are no longer in the output's folder of runs."""
    if not isinstance(runs, RemotePath):
        return
    files, base, place = LocalFiles(), _base(), _place(runs)
    for name in files.names(base):
        start, _, run_id = name.partition("-")
        if start == place and run_id not in run_ids:
            files.remove_tree(base / name)


def _place(runs: Path) -> str:
    return sha256(str(runs).encode()).hexdigest()[:16]


def _base() -> Path:
    """Return the private folder, made where it is missing. Raises StoreError where it is not ours.

    Others may write to the folder for temporary files, and could have made it before us.
    """
    base = Path(tempfile.gettempdir()) / f"personalm-{os.getuid()}"
    LocalFiles().make_folder(base, private=True)
    found = base.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or stat.S_IMODE(found.st_mode) != _PRIVATE
    ):
        raise StoreError(
            f"{base} is not a private folder of this user",
            remedy="Remove it, or set TMPDIR to a folder of your own.",
        )
    return base
