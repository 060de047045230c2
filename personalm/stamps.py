"""Stamps of the files on this machine that an assembly is read from.

While they are equal nobody has touched the templates, the models or the items, and what was read
is still what lies there. It opens none of them; what lies on a hub or an object store it does not
look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from personalm.errors import PersonalmError
from personalm.generation.adapters import find_base, is_adapter
from personalm.inputs.listing import list_files
from personalm.places import expand_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.settings import Settings

Stamps: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Of each file its path, its inode, its size and when it was last written, in nanoseconds."""


def stamps_of(settings: Settings) -> Stamps:
    """Return the stamps of all files that an assembly of these settings is read from."""
    found = []
    for path in sorted({*_files_of(settings)}):
        try:
            status = path.stat()
        except OSError:
            # Who reads it says in words what is wrong with it.
            continue
        found.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _files_of(settings: Settings) -> Iterator[Path]:
    if settings.templates_dir:
        yield from Path(settings.templates_dir).glob("*")
    for name in (settings.model, settings.selection.embedder):
        yield from _files_below(name)
    for location in settings.inputs.items:
        if not location.startswith("s3://"):
            try:
                yield from (path for path, _ in list_files(location, table="items"))
            except PersonalmError:
                continue


def _files_below(name: str) -> Iterator[Path]:
    """Yield the files of a model that is a folder, and of the base of an adapter."""
    folder = expand_home(name)
    if not folder.is_dir():
        return
    yield from folder.rglob("*")
    if is_adapter(folder) and (base := find_base(folder)) and base != name:
        yield from _files_below(base)
