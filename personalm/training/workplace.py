"""The workplace of a training: a hidden, private folder beside the one to be published.

It holds what a kill must not lose (checkpoints, measures before training) and what nobody may see
(weights that are not measured yet). It belongs to one training at a time; the same command goes on
there, another one clears it. It goes once the model is published, and when somebody is forgotten.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from personalm.errors import TrainingError
from personalm.generation.adapters import PROVENANCE
from personalm.places import locate_here
from personalm.store.files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BEFORE = "before.json"
"""Notes of what was measured before training."""

_PLAN = "plan.json"
_BASE = "base.json"
_LOCK = "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The folders of one training."""

    output: Path
    folder: Path
    files: LocalFiles

    @classmethod
    @contextmanager
    def open(
        cls, output: Path, *, replaces: bool, files: LocalFiles | None = None
    ) -> Iterator[Self]:
        """Hold the workplace of an output against other processes.

        Raises TrainingError where the output is taken, StoreLockedError where another training
        holds it.
        """
        files = files or LocalFiles()
        output = locate_here(output, "a trained model")
        folder = _folder_of(output)
        place = cls(output=output, folder=folder, files=files)
        if not place.replaced.exists():
            # Before anything is made: a command that is refused leaves nothing behind.
            place.refuse_taken(replaces=replaces)
        files.make_folder(folder, private=True)
        with files.lock(folder / _LOCK, "a training"):
            place.recover()
            place.refuse_taken(replaces=replaces)
            yield place

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def base(self) -> Path:
        """Folder of the model to start from, where it is made here."""
        return self.folder / "base"

    @property
    def spill(self) -> Path:
        """Folder for the inputs while they are read."""
        return self.folder / "spill"

    @property
    def draft(self) -> Path:
        """Folder of the model that is to be published."""
        return self.folder / "draft"

    @property
    def replaced(self) -> Path:
        """Where the model to be replaced lies for a moment."""
        return replaced_of(self.output)

    def refuse_taken(self, *, replaces: bool) -> None:
        """Raise TrainingError where something is in the way of the output."""
        if not self.output.exists():
            return
        if not self.output.is_dir():
            raise TrainingError(f"{self.output} is no folder", remedy="Name another one.")
        if not any(self.output.iterdir()):
            return
        if not (self.output / PROVENANCE).is_file():
            raise TrainingError(
                f"{self.output} holds something that no training has published",
                remedy="Name another folder.",
            )
        if not replaces:
            raise TrainingError(
                f"{self.output} holds a trained model already",
                remedy="Name another folder, or replace it: --replace.",
            )

    def recover(self) -> None:
        """Put a model back that a crash has caught while it was being replaced."""
        if not self.replaced.exists():
            return
        if self.output.exists():
            self.files.remove_tree(self.replaced)
        else:
            self.files.move_folder(self.replaced, self.output)

    def begin(self, fingerprint: str) -> None:
        """Go on with the training of this fingerprint, or clear what another one has left."""
        if self.read(_PLAN).get("fingerprint") != fingerprint:
            self.files.remove_tree(self.checkpoints)
            self.files.remove(self.folder / BEFORE)
            self.write(_PLAN, {"fingerprint": fingerprint})
        self.files.make_folder(self.checkpoints, private=True)

    def has_base(self, fingerprint: str) -> bool:
        """Say whether the model to start from lies here whole; if not, its folder is cleared."""
        if self.read(_BASE).get("fingerprint") == fingerprint:
            return True
        self.files.remove(self.folder / _BASE)
        self.files.remove_tree(self.base)
        self.files.make_folder(self.base)
        return False

    def finish_base(self, fingerprint: str) -> None:
        """Say that the model to start from is whole."""
        self.write(_BASE, {"fingerprint": fingerprint})

    def read(self, name: str) -> dict[str, Any]:
        """Read a file of notes, empty where there is none or a kill has left half of it."""
        try:
            values = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def write(self, name: str, values: dict[str, Any]) -> None:
        """Write a file of notes, whole."""
        self.files.replace(self.folder / name, json.dumps(values).encode())

    def clear(self) -> None:
        """Remove the workplace; the lock goes with its process."""
        self.files.remove_tree(self.folder)


def replaced_of(output: Path) -> Path:
    """Return where the model of an output lies while another one takes its place."""
    return _beside(output, "replaced")


def find_interrupted(place: Path) -> tuple[Path, ...]:
    """Return the workplaces of a model's folder, which need not exist, and of those inside it."""
    folders = (_folder_of(place), *sorted(place.glob(".*.training")))
    return tuple(
        folder for folder in folders if (folder / _LOCK).is_file() and not folder.is_symlink()
    )


def clear_interrupted(places: Iterable[Path]) -> tuple[Path, ...]:
    """Clear every interrupted training that `find_interrupted` finds at some places; return them.

    Its inputs are those of everybody, and nobody knows whom its checkpoints have learned from: the
    same command begins anew. Raises StoreLockedError for one that is under way.
    """
    files = LocalFiles()
    found = {folder.resolve() for place in places for folder in find_interrupted(place)}
    for folder in sorted(found):
        with files.lock(folder / _LOCK, "forgetting"):
            files.remove_tree(folder)
    return tuple(sorted(found))


def _folder_of(output: Path) -> Path:
    return _beside(output, "training")


def _beside(output: Path, what: str) -> Path:
    # Links are followed and dots resolved, as where a training is begun.
    output = output.resolve()
    return output.parent / f".{output.name}.{what}"
