"""Numbers that took long to compute, kept under a hash of what they were computed from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from personalm.hashing import digest
from personalm.store.files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Memo:
    """Lists of numbers on disk; the names tell nothing of what they stand for."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing."""
        self._folder = folder
        self._files = LocalFiles()
        self._files.make_folder(folder, private=True)

    def recall(self, cause: object, compute: Callable[[], list[float]]) -> list[float]:
        """Return the numbers that follow from a cause, computing them where they are not kept."""
        path = self._folder / f"{digest(cause)[:32]}.json"
        if path.is_file():
            kept: list[float] = json.loads(self._files.read(path))
            return kept
        numbers = compute()
        self._files.replace(path, json.dumps(numbers).encode())
        return numbers
