"""Parquet files of a table: found in files, folders and globs, and opened before any work.

Below a folder every `*.parquet` counts, at any depth, but for names that start with `_` or `.`;
a folder named `column=value` gives its files that column, as text. Inputs are only ever read.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SUFFIX = ".parquet"
_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a table: its columns, and those that its folders give it."""

    path: Path
    schema: pa.Schema
    folders: Mapping[str, str | None] = field(default_factory=dict)

    def open(self) -> pq.ParquetFile:
        """Open the file for reading. Raises InputError where it is no whole Parquet file."""
        return open_parquet(self.path)


def find_files(locations: Sequence[str], *, table: str) -> tuple[Path, ...]:
    """Return the Parquet files of a table, sorted, each once.

    Raises InputError where a location holds none, and for a file that is not Parquet.
    """
    return tuple(file.path for file in find_sources(locations, table=table))


def find_sources(locations: Sequence[str], *, table: str) -> tuple[SourceFile, ...]:
    """Return the files of a table, sorted, each once, after a look at every footer."""
    found: dict[Path, tuple[Path, Path]] = {}
    for location in locations:
        paths = sorted(_list(location, table))
        if not paths:
            raise InputError(
                f"{table}: no Parquet files in {location}",
                remedy=f"Check inputs.{table}: a file, a folder with *.parquet, or a glob.",
            )
        for path, root in paths:
            found.setdefault(Path(os.path.realpath(path)), (path, root))
    return tuple(
        SourceFile(
            path=path,
            schema=_read_schema(path),
            folders=_folder_columns(path, root),
        )
        for path, root in sorted(found.values())
    )


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file. Raises InputError naming it where it is truncated, empty or foreign."""
    if not path.is_file():
        raise InputError("not a regular file", file=str(path))
    try:
        return pq.ParquetFile(
            path,
            # Whole row groups are not held in memory, and a time of the old form may lie far away.
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, found: str) -> InputError:
    """Return the error for a file that is not, or not wholly, Parquet."""
    words = found.splitlines()
    return InputError(
        "the file is no whole Parquet file" + (f": {words[0]}" if words else ""),
        file=str(path),
        remedy="Write or copy it again, or take it out of the inputs.",
    )


def _read_schema(path: Path) -> pa.Schema:
    with open_parquet(path) as file:
        try:
            return file.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(path, str(error)) from None


def _list(location: str, table: str) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a location, each with the folder below which it was found."""
    if "://" in location:
        raise InputError(
            f"{table}: {location} is not a local path",
            remedy="Copy the files here, or mount the place as a folder.",
        )
    place = Path(location)
    if place.exists():
        yield from _list_place(place)
        return
    for match in glob.glob(location, recursive=True):  # noqa: PTH207 - takes absolute patterns
        path = Path(match)
        if not _is_skipped(path.name):
            yield from _list_place(path)


def _list_place(place: Path) -> Iterator[tuple[Path, Path]]:
    if not place.is_dir():
        yield place, place.parent
        return
    for folder, subfolders, names in os.walk(place):
        subfolders[:] = [name for name in subfolders if not _is_skipped(name)]
        for name in names:
            if name.endswith(_SUFFIX) and not _is_skipped(name):
                yield Path(folder, name), place


def _is_skipped(name: str) -> bool:
    return name.startswith(("_", "."))


def _folder_columns(path: Path, root: Path) -> dict[str, str | None]:
    return dict(_split(path.relative_to(root).parent.parts))


def _split(folders: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for folder in folders:
        name, equals, value = folder.partition("=")
        if equals and name:
            yield name, None if value == _NULL_FOLDER else unquote(value)
