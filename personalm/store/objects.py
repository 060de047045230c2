"""Objects: what the store asks of the place where it lies.

All that makes the table safe rests on one promise: `create` refuses a name that is taken. A place
that keeps it (a folder, or an object store with conditional writes) can hold a store. Views, for
readers of plain files, need links too, which `personalm.store.files.LocalFiles` adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path


class Objects(Protocol):
    """Creates, replaces, reads and removes named bytes; every failure is a StoreError."""

    def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write a new object: durable and whole, or absent. Raises FileExistsError."""

    def replace(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write an object in place of the one of that name, if any."""

    def read(self, path: Path) -> bytes:
        """Return the bytes of an object. Raises FileNotFoundError."""

    def names(self, folder: Path) -> tuple[str, ...]:
        """Return the names directly in a folder, sorted; none where there is no such folder."""

    def remove(self, path: Path) -> None:
        """Remove an object; one that is gone already is fine."""

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all that is in it; one that is gone already is fine."""

    def make_folder(self, path: Path, *, private: bool = False) -> None:
        """Make a folder where the place has folders of their own; nothing to do elsewhere."""

    def lock(self, path: Path, note: str) -> AbstractContextManager[None]:
        """Keep other drivers out, as a courtesy. Raises StoreLockedError where another is in."""
