"""Where the files of a location lie: a file, a folder or a glob, here or on an object store.

Below a folder every `*.parquet` counts, at any depth, but for names that start with `_` or `.`, and
for folders that personalm has written results to: those are no inputs, wherever they lie.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.errors import InputError
from personalm.inputs.remote_files import list_remote
from personalm.remote import OUTPUT_MARK, RemotePath, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUFFIX = ".parquet"


def list_files(location: str, *, table: str) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a location, each with the folder below which it was found.

    Of a glob that is the last folder before its first wild card. Raises InputError for a place
    that is unknown, and for a folder that cannot be read.
    """
    if location.startswith("s3://"):
        place = place_of(location)
        if isinstance(place, RemotePath):
            yield from _list_remote(place)
        return
    if "://" in location:
        raise InputError(
            f"{table}: {location} is not a local path",
            remedy="Give s3://BUCKET/FOLDER, copy the files here, or mount the place as a folder.",
        )
    place = Path(location)
    if place.exists() or place.is_symlink():
        root = place if place.is_dir() else place.parent
        yield from ((path, root) for path in _list_place(place))
    else:
        yield from _list_matches(place)


def _list_remote(place: RemotePath) -> Iterator[tuple[Path, Path]]:
    for found in list_remote(place):
        parts = found.path.relative_to(found.root).parts
        is_named = found.is_exact or found.path.name.lower().endswith(_SUFFIX)
        if is_named and not _is_hidden(parts, named=place.parts):
            yield found.path, found.root


def _list_matches(pattern: Path) -> Iterator[tuple[Path, Path]]:
    tame = next((n for n, part in enumerate(pattern.parts) if glob.has_magic(part)), None)
    root = Path(*pattern.parts[:tame])
    if tame is None or not root.is_dir():
        return
    for match in glob.glob(str(pattern), recursive=True):  # noqa: PTH207 - takes absolute patterns
        path = Path(match)
        folders = path.relative_to(root).parts
        if _is_hidden(folders, named=pattern.parts):
            continue
        above = (root.joinpath(*folders[:depth]) for depth in range(len(folders)))
        if not any(map(_is_output, above)):
            yield from ((file, root) for file in _list_place(path))


def _list_place(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    seen = {os.path.realpath(place)}
    for folder, subfolders, names in os.walk(place, followlinks=True, onerror=_refuse_folder):
        if OUTPUT_MARK in names:
            subfolders.clear()
            continue
        subfolders[:] = sorted(name for name in subfolders if not _is_skipped(name))
        for name in tuple(subfolders):
            # A link may lead back up, or two links to one place: each folder is looked at once.
            real = os.path.realpath(Path(folder, name))
            if real in seen:
                subfolders.remove(name)
            seen.add(real)
        for name in names:
            if name.lower().endswith(_SUFFIX) and not _is_skipped(name):
                yield Path(folder, name)


def _refuse_folder(error: OSError) -> None:
    """Stop at a folder that cannot be listed: its rows would be missing without a word."""
    raise InputError(
        f"the folder {error.filename} cannot be read: {error.strerror}",
        remedy="Give this user the right to read it, or leave it out of the inputs.",
    )


def _is_output(folder: Path) -> bool:
    return (folder / OUTPUT_MARK).is_file()


def _is_hidden(parts: Sequence[str], *, named: Sequence[str]) -> bool:
    """Say whether one of these names is passed over, but for those that the location names."""
    return any(_is_skipped(part) and part not in named for part in parts)


def _is_skipped(name: str) -> bool:
    return name.startswith(("_", "."))
