"""Parquet files of a table: found, and opened before any work.

A folder named `column=value` gives its files that column, as text. Inputs are only ever read, and
a file that changes between the first look and the last row is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.errors import InputDamagedError, InputError
from personalm.inputs.listing import list_files
from personalm.inputs.remote_files import RemoteFile, stamp_of
from personalm.remote import RemotePath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    OnDamage: TypeAlias = Callable[[InputDamagedError], None]

READ_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError)
"""What pyarrow raises for damaged files."""

_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_Stamp: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a table: its columns, and those that its folders give it."""

    path: Path
    schema: pa.Schema
    stamp: _Stamp
    """Which file it was, its size and its time, when its columns were looked at."""
    folders: Mapping[str, str | None] = field(default_factory=dict)
    above: Mapping[str, str | None] = field(default_factory=dict)
    """Columns of the folders that the location itself names, just above where files were found."""

    def open(self) -> pq.ParquetFile:
        """Open the file for reading. Raises InputDamagedError where it is no longer the same."""
        self.check_unchanged()
        return open_parquet(self.path)

    def check_unchanged(self) -> None:
        """Raise InputDamagedError where somebody has written to the file since it was found."""
        if _stamp_of(self.path) != self.stamp:
            raise InputDamagedError(
                "the file changed while it was read",
                file=str(self.path),
                remedy="Wait until it is written, and give it its name only then.",
            )


def find_sources(
    locations: Sequence[str], *, table: str, on_damage: OnDamage | None = None
) -> tuple[SourceFile, ...]:
    """Return the files of a table, sorted, each once, after a look at every footer.

    A damaged file is left out where `on_damage` takes the error, and raised otherwise.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for location in locations:
        paths = sorted(list_files(location, table=table))
        if not paths:
            raise InputError(
                f"{table}: no Parquet files in {location}",
                remedy=f"Check inputs.{table}: a file, a folder with *.parquet, or a glob.",
            )
        for path, root in paths:
            found.setdefault(_real(path), (path, root))
    sources = []
    for path, root in sorted(found.values()):
        try:
            sources.append(_look_at(path, root))
        except InputDamagedError as error:
            if on_damage is None:
                raise
            on_damage(error)
    return tuple(sources)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file. Raises InputDamagedError where it is truncated, empty or foreign."""
    source = RemoteFile(path) if isinstance(path, RemotePath) else path
    if source is path and not path.is_file():
        raise InputDamagedError("not a regular file", file=str(path))
    try:
        return pq.ParquetFile(
            source,
            # Whole row groups are not held in memory, and a time of the old form may lie far away.
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        )
    except READ_ERRORS as error:
        raise damaged(path, error) from None


def damaged(path: Path, found: Exception | str) -> InputDamagedError:
    """Return the error for a file that is not, or not wholly, Parquet."""
    if isinstance(found, FileNotFoundError | PermissionError):
        return InputDamagedError(
            f"the file cannot be opened: {found.strerror}",
            file=str(path),
            remedy="Check that it is there, and that this user may read it.",
        )
    # The words of a codec hold the bytes that it stumbled over.
    words = "" if isinstance(found, UnicodeError) else str(found).partition("\n")[0]
    return InputDamagedError(
        "the file is no whole Parquet file" + (f": {words}" if words else ""),
        file=str(path),
        remedy="Write or copy it again, or take it out of the inputs.",
    )


def _look_at(path: Path, root: Path) -> SourceFile:
    stamp = _stamp_of(path)
    with open_parquet(path) as file:
        try:
            schema = file.schema_arrow
            # A name that is no text is found when it is asked for, at any depth.
            str(schema)
            groups = range(file.num_row_groups)
            num_rows = sum(file.metadata.row_group(group).num_rows for group in groups)
        except READ_ERRORS as error:
            raise damaged(path, error) from None
        if num_rows != file.metadata.num_rows:
            found = f"of {file.metadata.num_rows:,} rows {num_rows:,} are in its row groups"
            raise damaged(path, found)
    return SourceFile(
        path=path,
        schema=schema,
        stamp=stamp,
        folders=_folder_columns(path.relative_to(root).parent.parts, path),
        above=_folder_columns(tuple(takewhile(_is_column, reversed(root.parts))), path),
    )


def _real(path: Path) -> Path:
    return path if isinstance(path, RemotePath) else Path(os.path.realpath(path))


def _stamp_of(path: Path) -> _Stamp:
    if isinstance(path, RemotePath):
        return stamp_of(path)
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        raise damaged(path, error) from None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _folder_columns(folders: Sequence[str], path: Path) -> dict[str, str | None]:
    columns: dict[str, str | None] = {}
    for name, value in _split(folders, path):
        if columns.setdefault(name, value) != value:
            raise InputError(
                "two folders above the file give this column, and disagree",
                file=str(path),
                column=name,
            )
    return columns


def _is_column(folder: str) -> bool:
    name, equals, _ = folder.partition("=")
    return bool(name and equals)


def _split(folders: Iterable[str], path: Path) -> Iterator[tuple[str, str | None]]:
    for folder in folders:
        if _is_column(folder):
            name, _, value = folder.partition("=")
            try:
                text = unquote(value, errors="strict")
                (name + text).encode()
            except UnicodeError:
                raise InputError(
                    "a folder above the file gives a column, and its name is not valid UTF-8",
                    file=os.fsencode(path).decode(errors="replace"),
                    remedy="Rename the folder.",
                ) from None
            yield name, None if value == _NULL_FOLDER else text
