"""Checkpoints of a training: complete, or not there.

The trainer writes the files of a checkpoint one by one. Only when all of them lie on the disk is
the mark written that names them with their sizes and SHA-256; a folder without a mark, or of which
a file differs, is what a kill has left, and goes. Optimizer files are pickles: they are read from
folders of our own alone, after that check. Paths are relative, so the folder may be moved.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personalm.hashing import digest_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from personalm.store.files import LocalFiles

PREFIX = "checkpoint-"
_MARK = "complete.json"
_STATE = "trainer_state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint.

    `losses` are those of all looks at the validation texts until then, the newest one its own;
    `seconds` the time that training has taken, over all its runs.
    """

    folder: Path
    step: int
    losses: tuple[float, ...]
    seconds: float
    num_tokens: int

    @property
    def loss(self) -> float:
        """Validation loss of its weights."""
        return self.losses[-1] if self.losses else math.inf


class Checkpoints:
    """The checkpoints below one folder."""

    def __init__(self, folder: Path, files: LocalFiles) -> None:
        self.folder = folder
        self._files = files

    def complete(self, step: int, *, seconds: float, num_tokens: int) -> None:
        """Mark the checkpoint of a step, whose files are all written, as complete."""
        folder = self.folder / f"{PREFIX}{step}"
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
        for name in names:
            self._files.call(_flush, folder / name)
        values = {
            "step": step,
            "losses": _losses(folder / _STATE),
            "seconds": seconds,
            "num_tokens": num_tokens,
            "files": {
                name: [(folder / name).stat().st_size, digest_file(folder / name)] for name in names
            },
        }
        self._files.replace(folder / _MARK, json.dumps(values).encode())
        self._files.sync(self.folder)

    def all(self) -> tuple[Checkpoint, ...]:
        """Return the complete checkpoints, oldest first; what a kill has left is removed."""
        return self._find(is_checked=True)

    def has_any(self) -> bool:
        """Tell whether one was marked as complete; nothing is removed, no file is checked."""
        return any(self.folder.glob(f"{PREFIX}*/{_MARK}"))

    def _find(self, *, is_checked: bool) -> tuple[Checkpoint, ...]:
        found = []
        for folder in sorted(self.folder.glob(f"{PREFIX}*")):
            checkpoint = _read(folder, is_checked=is_checked)
            if checkpoint is None:
                self._files.remove_tree(folder)
            else:
                found.append(checkpoint)
        return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))

    def thin(self) -> None:
        """Remove all but the newest checkpoint and the best one."""
        # They were written or checked by this very process.
        found = self._find(is_checked=False)
        kept = {found[-1].step, best_of(found).step} if found else set()
        for checkpoint in found:
            if checkpoint.step not in kept:
                # Its mark goes first: half a checkpoint is none.
                self._files.remove(checkpoint.folder / _MARK)
                self._files.remove_tree(checkpoint.folder)


def best_of(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """Return the checkpoint of the lowest loss, the oldest of several."""
    return min(checkpoints, key=lambda checkpoint: (checkpoint.loss, checkpoint.step))


def has_lost_patience(losses: Sequence[float], patience: int) -> bool:
    """Say whether so many looks in a row were no better than the best one before them."""
    if not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience


def _read(folder: Path, *, is_checked: bool) -> Checkpoint | None:
    """Return the checkpoint in a folder; None where it is not whole, if that is checked."""
    try:
        values: dict[str, Any] = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        is_whole = not is_checked or all(
            (folder / name).stat().st_size == size and digest_file(folder / name) == sha256
            for name, (size, sha256) in values["files"].items()
        )
        if not is_whole:
            return None
        return Checkpoint(
            folder=folder,
            step=values["step"],
            losses=tuple(values["losses"]),
            seconds=values["seconds"],
            num_tokens=values["num_tokens"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _losses(state: Path) -> list[float]:
    history = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    return [entry["eval_loss"] for entry in history if "eval_loss" in entry]


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
