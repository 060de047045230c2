"""Objects of an S3 store: a store's files where there are no folders, links or locks.

The promise that the table rests on, `create`, is a conditional put. All bytes of a file go in one
request, so that a name has them all or does not exist. It knows neither Parquet nor what the
objects mean.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.remote import RemotePath, connect, explain, is_no_bucket, place_of
from personalm.store.files import LocalFiles
from personalm.store.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from obstore.store import S3Store

    from personalm.store.objects import Objects

_WRITER = "personalm-writer"
"""Metadata of an object: who created it, told anew by each `create`."""


def files_at(place: str | Path) -> Objects:
    """Return what reads and writes a place: a folder of this machine, or one on S3."""
    return ObjectFiles() if isinstance(place_of(place), RemotePath) else LocalFiles()


class ObjectFiles:
    """Creates, replaces, reads and removes objects; paths are `RemotePath`.

    Methods raise StoreError naming the path. It is a `personalm.store.objects.Objects`.
    """

    def create(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write a new object. Raises FileExistsError, and leaves it, where the name is taken."""
        store, key = _open(path)
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import AlreadyExistsError, BaseError  # noqa: PLC0415 - the same

        writer = secrets.token_hex(16)
        try:
            obstore.put(
                store,
                key,
                _whole(data),
                attributes={_WRITER: writer},
                mode="create",
                use_multipart=False,
            )
        except (BaseError, FileNotFoundError) as error:
            # An answer that was lost on the way leaves an object of ours that refuses us.
            if self._is_by(writer, path):
                return
            if isinstance(error, AlreadyExistsError):
                raise FileExistsError(f"{path} exists") from None
            raise _fault(error, path) from None

    def replace(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """Write an object in place of the one of that name; readers see the old or the new one."""
        store, key = _open(path)
        import obstore  # noqa: PLC0415 - an extra

        with _in_words(path):
            obstore.put(store, key, _whole(data), use_multipart=False)

    def read(self, path: Path) -> bytes:
        """Return the bytes of an object. Raises FileNotFoundError where there is none."""
        store, key = _open(path)
        import obstore  # noqa: PLC0415 - an extra

        with _in_words(path):
            return obstore.get(store, key).bytes().to_bytes()

    def names(self, folder: Path) -> tuple[str, ...]:
        """Return the names directly below a place, sorted; none where nothing is there."""
        store, key = _open(folder)
        import obstore  # noqa: PLC0415 - an extra

        with _in_words(folder):
            found = obstore.list_with_delimiter(store, key or None)
        paths = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return tuple(sorted({path.rpartition("/")[2] for path in paths}))

    def remove(self, path: Path) -> None:
        """Remove an object; one that is gone already is fine."""
        store, key = _open(path)
        import obstore  # noqa: PLC0415 - an extra

        with _in_words(path):
            obstore.delete(store, [key])

    def remove_tree(self, path: Path) -> None:
        """Remove an object and all that is below its name; what is gone already is fine."""
        store, key = _open(path)
        import obstore  # noqa: PLC0415 - an extra

        with _in_words(path):
            for found in obstore.list(store, key):
                obstore.delete(store, [each["path"] for each in found])
            obstore.delete(store, [key])

    def make_folder(self, path: Path, *, private: bool = False) -> None:
        """Do nothing: a folder is no more than the start of a name."""

    @contextmanager
    def lock(self, path: Path, note: str) -> Iterator[None]:
        """Hold a lease for as long as this process lives. Raises StoreLockedError."""
        with Lease(self, path, note):
            yield

    def _is_by(self, writer: str, path: Path) -> bool:
        store, key = _open(path)
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import BaseError  # noqa: PLC0415 - the same

        try:
            found = obstore.get(store, key).attributes
        except (BaseError, FileNotFoundError):
            return False
        return writer in found.values()


def _open(path: Path) -> tuple[S3Store, str]:
    """Return the client for a path, and its key there. It comes first: it says what to install."""
    assert isinstance(path, RemotePath)  # noqa: S101 - the layout of a place makes its paths
    return connect(path), path.key


def _whole(data: bytes | Iterable[bytes]) -> bytes:
    return data if isinstance(data, bytes) else b"".join(data)


def _fault(error: Exception, path: Path) -> StoreError:
    message, remedy = explain(error, path)
    return StoreError(message, remedy=remedy)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn what the client says into a StoreError; what is not there is a FileNotFoundError."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    try:
        yield
    except FileNotFoundError as error:
        if is_no_bucket(error):
            raise _fault(error, path) from None
        raise FileNotFoundError(f"{path} does not exist") from None
    except BaseError as error:
        raise _fault(error, path) from None
