"""Parquet files on an object store: found under a name, a start of names or a glob, and read.

Faults of the network are InputErrors and never damage: a file that could not be reached is not
left out in silence where damaged ones may be.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from personalm.errors import InputDamagedError, InputError
from personalm.remote import OUTPUT_MARK, RemotePath, connect, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WILD = re.compile(r"[*?\[]")


class RemoteFile(io.RawIOBase):
    """An object as a file: each read asks for its own bytes, and for those of one version only.

    Raises InputDamagedError where the object is gone or another, InputError for other faults.
    """

    def __init__(self, path: RemotePath) -> None:
        self._path = path
        self._version, self._size = stamp_of(path)
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read starts."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Let the next read start elsewhere; return where."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, fewer at the end."""
        import obstore  # noqa: PLC0415 - an extra

        left = max(0, self._size - self._position)
        size = left if size < 0 else min(size, left)
        if not size:
            return b""
        span = self._position, self._position + size
        with _in_words(self._path):
            found = obstore.get(
                connect(self._path),
                self._path.key,
                options={"range": span, "if_match": self._version},
            )
            data = found.bytes().to_bytes()
        self._position += len(data)
        return data


def stamp_of(path: RemotePath) -> tuple[str, int]:
    """Return the version of an object, as the store calls it, and its size."""
    client = connect(path)  # first: it says what to install
    import obstore  # noqa: PLC0415 - an extra

    with _in_words(path):
        found = obstore.head(client, path.key)
    return found["e_tag"] or "", found["size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object, and the place below which it was found.

    `is_exact` says that its whole name was given or matched, not that of a folder.
    """

    path: RemotePath
    root: RemotePath
    is_exact: bool


def list_remote(place: RemotePath) -> Iterator[Found]:
    """Yield what lies at a place, but for what lies in a folder of results.

    The place is an object, a start of names as a folder would be, or else a glob of either, where
    an object may be found in several ways.
    """
    if place.key and _exists(place):
        yield Found(path=place, root=RemotePath(*place.parts[:-1]), is_exact=True)
        return
    below = _list_below(place)
    yield from (Found(path=path, root=place, is_exact=False) for path in below)
    wild = next((n for n, part in enumerate(place.parts) if n > 1 and _WILD.search(part)), None)
    if below or wild is None:
        return
    root, pattern = RemotePath(*place.parts[:wild]), place.parts[wild:]
    for path in _list_below(root):
        found = path.parts[wild:]
        for length in range(len(found) + 1):
            if _matches(pattern, found[:length]):
                yield Found(path=path, root=root, is_exact=length == len(found))


def _exists(path: RemotePath) -> bool:
    try:
        stamp_of(path)
    except InputDamagedError:
        return False
    return True


def _list_below(place: RemotePath) -> list[RemotePath]:
    """Return the objects below a place, none that is in a folder of results."""
    client = connect(place)  # first: it says what to install
    import obstore  # noqa: PLC0415 - an extra

    root = RemotePath("/", place.bucket)
    with _in_words(place):
        listed = obstore.list(client, place.key or None)
        paths = [root / each["path"] for found in listed for each in found]
    outputs = {path.parent for path in paths if path.name == OUTPUT_MARK}
    return [path for path in paths if outputs.isdisjoint((path, *path.parents))]


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Say whether names match a glob, as the shell's does: `**` is any number of folders."""
    if not pattern:
        return not parts
    first, *others = pattern
    if first == "**":
        visible = next((n for n, part in enumerate(parts) if part.startswith(".")), len(parts))
        return any(_matches(others, parts[start:]) for start in range(visible + 1))
    if not parts or (parts[0].startswith(".") and not first.startswith(".")):
        return False
    return fnmatchcase(parts[0], first) and _matches(others, parts[1:])


@contextmanager
def _in_words(path: RemotePath) -> Iterator[None]:
    """Turn what the client says into an InputError that names the object."""
    from obstore.exceptions import BaseError, PreconditionError  # noqa: PLC0415 - an extra

    try:
        yield
    except PreconditionError:
        raise InputDamagedError(
            "the file changed while it was read",
            file=str(path),
            remedy="Wait until it is written, and give it its name only then.",
        ) from None
    except FileNotFoundError:
        raise InputDamagedError(
            "the file is not there", file=str(path), remedy="Check the inputs."
        ) from None
    except BaseError as error:
        message, remedy = explain(error, path)
        raise InputError(message, remedy=remedy) from None
