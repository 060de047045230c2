"""Scratch: where a run whose output lies on an object store keeps what must lie on a disk.

Spilled inputs are personal data: they lie below the private folder for what is temporary, under a
hash of the output's place and the run's id.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from personalm.remote import RemotePath
from personalm.store.files import LocalFiles
from personalm.store.temporary import private_base

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def scratch_of(folder: Path) -> Path | None:
    """Return a local folder for the run of a remote one, which need not exist; else `None`."""
    if not isinstance(folder, RemotePath):
        return None
    return private_base() / f"{_place(folder.parent)}-{folder.name}"


def clear_scratch(runs: Path, run_ids: Collection[str]) -> None:
    """Remove what runs have left here that are no longer in the output's folder of runs."""
    if not isinstance(runs, RemotePath):
        return
    files, base, place = LocalFiles(), private_base(), _place(runs)
    for name in files.names(base):
        start, _, run_id = name.partition("-")
        if start == place and run_id not in run_ids:
            files.remove_tree(base / name)


def _place(runs: Path) -> str:
    return sha256(str(runs).encode()).hexdigest()[:16]
