"""Artefacts: what is made of all users together, and used for each of them until it is made anew.

An artefact is one private file in the output folder, written once under the digest of its bytes,
and a record that names it: the newest under its name, and the only one. It has an edition, which
goes into the fingerprints of the texts that it had a say in. Another user's text of last night
changes no edition: only making the artefact anew does, on demand, and then every text is written
again. Who is forgotten is taken out, in a file with another digest of the same edition: to take
somebody out is no reason to write everybody else's texts again.

Whoever publishes, removes or tidies holds the folder's lock; readers need none. What the bytes
mean is known to those who make and read them.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from personalm.disks import full_disk_in_words
from personalm.errors import StoreDamagedError
from personalm.hashing import digest_file
from personalm.remote import RemotePath
from personalm.store.layout import FORMAT, inside
from personalm.store.object_files import files_at
from personalm.store.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects

    Chunks: TypeAlias = Callable[[], Iterable[bytes]]
    """Gives the bytes of a file in pieces, the same ones whenever it is called."""

_RECORD = ".json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """What is recorded of an artefact.

    `digest` is the SHA-256 of the file's bytes, `edition` what fingerprints hold of it. `about`
    says in numbers what it was made of, for people.
    """

    name: str
    edition: str
    digest: str
    num_bytes: int
    created_at: datetime
    about: Mapping[str, int] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """Name of the file beside the record."""
        return f"{self.name}-{self.digest}"


class Artefacts:
    """The artefacts of one output folder."""

    def __init__(self, layout: Layout, files: Objects | None = None) -> None:
        self._files = files or files_at(layout.root)
        self._layout = layout

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the artefacts there are, sorted."""
        found = self._files.names(self._layout.artefacts)
        return tuple(name.removesuffix(_RECORD) for name in found if name.endswith(_RECORD))

    def latest(self, name: str) -> Artefact | None:
        """Return the artefact of a name, `None` before the first. Raises StoreDamagedError."""
        path = self._record(name)
        try:
            return _parse(name, self._files.read(path))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise StoreDamagedError(f"{path} is damaged", remedy=_REMEDY) from None

    def path_of(self, artefact: Artefact) -> Path:
        """Return where the file of an artefact lies; it is gone once there is a newer one."""
        return inside(self._layout.artefacts, artefact.file_name)

    def read(self, artefact: Artefact) -> bytes:
        """Return the bytes of an artefact. Raises StoreDamagedError where they are others."""
        path = self.path_of(artefact)
        try:
            data = self._files.read(path)
        except FileNotFoundError:
            raise StoreDamagedError(f"{path} is missing", remedy=_REMEDY) from None
        if hashlib.sha256(data).hexdigest() != artefact.digest:
            raise StoreDamagedError(f"{path} differs from its checksum", remedy=_REMEDY)
        return data

    @contextmanager
    def on_this_machine(self, artefact: Artefact) -> Iterator[Path]:
        """Give a file of this machine with an artefact's bytes, to be opened meanwhile.

        What lies on object storage is copied for that, into a private file that goes afterwards.
        Raises StoreDamagedError where the copied bytes are others.
        """
        path = self.path_of(artefact)
        if not isinstance(path, RemotePath):
            yield path
            return
        data = self.read(artefact)
        with temporary_folder() as folder:
            copy = folder / artefact.file_name
            with full_disk_in_words(copy):
                copy.write_bytes(data)
            yield copy

    def publish(
        self,
        name: str,
        chunks: Chunks,
        *,
        about: Mapping[str, int] | None = None,
        edition: str | None = None,
        tidies: bool = True,
    ) -> Artefact:
        """Make a file the artefact of a name; the one before it goes.

        Unless it `tidies`, that one goes at the next `tidy`. `edition` is that of the artefact
        whose place is taken, where the new one is only to be what is left of it; otherwise it is
        the file's digest. A crash leaves the old or the new one.
        """
        digest, num_bytes = _measure(chunks())
        artefact = Artefact(
            name=name,
            edition=edition or digest,
            digest=digest,
            num_bytes=num_bytes,
            created_at=datetime.now(UTC),
            about=dict(about or {}),
        )
        self._files.make_folder(self._layout.artefacts, private=True)
        # In place of a file of that name: what lies there may be damaged.
        self._files.replace(self.path_of(artefact), chunks())
        record = asdict(artefact) | {
            "format": FORMAT,
            "created_at": artefact.created_at.isoformat(),
        }
        self._files.replace(self._record(name), json.dumps(record, indent=1).encode())
        if tidies:
            self.tidy()
        return artefact

    def remove(self, name: str) -> None:
        """Remove an artefact: the next run that needs it makes it anew."""
        # The record goes first: what a record names is there.
        self._files.remove(self._record(name))
        self.tidy()

    def tidy(self) -> int:
        """Remove files that no record names; return their number."""
        folder = self._layout.artefacts
        kept = set()
        for name in self.names:
            kept.add(name + _RECORD)
            # A damaged record names nothing, and is kept to be heard of.
            with suppress(StoreDamagedError):
                artefact = self.latest(name)
                kept |= {artefact.file_name} if artefact else set()
        unnamed = [name for name in self._files.names(folder) if name not in kept]
        for name in unnamed:
            self._files.remove(folder / name)
        return len(unnamed)

    def find_problems(self) -> Iterator[str]:
        """Yield, in words, what is not as recorded."""
        for name in self.names:
            try:
                artefact = self.latest(name)
            except StoreDamagedError as error:
                yield str(error)
            else:
                if artefact and self._digest(artefact) != artefact.digest:
                    yield f"{self.path_of(artefact)} is missing or differs from its checksum"

    def _digest(self, artefact: Artefact) -> str | None:
        """Return the digest of a file as it is; one on this machine may be larger than memory."""
        path = self.path_of(artefact)
        try:
            if isinstance(path, RemotePath):
                return hashlib.sha256(self._files.read(path)).hexdigest()
            return digest_file(path)
        except FileNotFoundError:
            return None

    def _record(self, name: str) -> Path:
        return inside(self._layout.artefacts, name + _RECORD)


_REMEDY = "Make it anew: personalm run --rebuild."


def _measure(chunks: Iterable[bytes]) -> tuple[str, int]:
    sha256, num_bytes = hashlib.sha256(), 0
    for chunk in chunks:
        sha256.update(chunk)
        num_bytes += len(chunk)
    return sha256.hexdigest(), num_bytes


def _parse(name: str, data: bytes) -> Artefact:
    record = json.loads(data)
    versions = record["format"], record["name"]
    if versions != (FORMAT, name):
        raise ValueError(versions)
    return Artefact(
        name=name,
        edition=_hex(record["edition"]),
        digest=_hex(record["digest"]),
        num_bytes=int(record["num_bytes"]),
        created_at=datetime.fromisoformat(record["created_at"]),
        about={str(key): int(value) for key, value in record["about"].items()},
    )


def _hex(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError
    return value
