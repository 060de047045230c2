"""Notes: what was worked out about people, kept so that another run need not work it out again.

Notes are bytes under the digest of a person's id and a name; what they mean is known to those who
keep them. They are personal data: their folders are private, and forgetting reaches them. A run
reads the notes of a bucket, and writes them anew into its own folder; only its publication lets
them take the place of the old ones, so that a run that lost its lock brings nothing back. They are
a help and no truth: a damaged file counts as none, and of too many those go that were of no use
for longest.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import StoreDamagedError
from personalm.store.files import TEMPORARY
from personalm.store.layout import PARQUET, inside
from personalm.store.parquet import decode, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from personalm.store.objects import Objects

_log = logging.getLogger(__name__)

_SCHEMA = pa.schema(
    [
        pa.field("owner", pa.string()),
        pa.field("name", pa.string()),
        pa.field("data", pa.binary()),
        pa.field("day", pa.int32()),
    ]
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a note costs beside its bytes: two digests, mostly.
_OVERHEAD = 100


class Notes:
    """The notes of one bucket, while a run works on it."""

    def __init__(self, files: Objects, places: Sequence[Path], *, max_bytes: int) -> None:
        """Read from the first place that has any, write to the first; 0 bytes keep nothing."""
        self._files = files
        self._target = places[0]
        self._max_bytes = max_bytes
        self._today = (datetime.now(UTC) - _EPOCH).days
        self._old: dict[str, dict[str, bytes]] = {}
        self._days: dict[str, int] = {}
        for place in places:
            if not self._old:
                self._old, self._days = _read(files, place)
        self._new: dict[str, dict[str, bytes]] = {}
        self._has_changes = False
        if not max_bytes:
            self.drop(self.owners)

    @property
    def owners(self) -> frozenset[str]:
        """The people about whom something is kept."""
        return frozenset(self._old) | frozenset(self._new)

    def of(self, owner: str) -> Mapping[str, bytes]:
        """Return what is kept about somebody."""
        found = self._old.get(owner, {}) | self._new.get(owner, {})
        if found and self._days.get(owner) != self._today:
            self._days[owner] = self._today
            self._has_changes = True
        return found

    def keep(self, owner: str, entries: Mapping[str, bytes]) -> None:
        """Keep this about somebody; what an earlier run kept goes."""
        if self._max_bytes:
            self._new.setdefault(owner, {}).update(entries)
            self._days[owner] = self._today
            self._has_changes = True

    def drop(self, owners: Iterable[str]) -> None:
        """Keep nothing about some people."""
        for owner in owners:
            found = [self._old.pop(owner, None), self._new.pop(owner, None)]
            self._has_changes |= found != [None, None]

    def save(self) -> None:
        """Write the notes for the run's publication, if they are others than before."""
        if not self._has_changes:
            return
        self._files.make_folder(self._target.parent, private=True)
        rows = [
            {"owner": owner, "name": name, "data": data, "day": self._days[owner]}
            for owner, entries in sorted(self._kept().items())
            for name, data in sorted(entries.items())
        ]
        self._files.replace(self._target, encode(pa.Table.from_pylist(rows, schema=_SCHEMA)))

    def _kept(self) -> dict[str, dict[str, bytes]]:
        """Return the notes that there is room for, those of the people met last."""
        entries = self._old | self._new
        kept, left = {}, self._max_bytes
        for owner in sorted(entries, key=lambda each: (-self._days[each], each)):
            left -= sum(len(data) + _OVERHEAD for data in entries[owner].values())
            if left < 0:
                break
            kept[owner] = entries[owner]
        return kept


def install_notes(files: Objects, written: Path, folder: Path) -> None:
    """Let the notes that a run has written take the place of those before."""
    names = [name for name in files.names(written) if not name.startswith(TEMPORARY)]
    if names:
        files.make_folder(folder, private=True)
    for name in names:
        files.replace(inside(folder, name), files.read(written / name))
    _clear_unfinished(files, folder)


def erase_notes(files: Objects, folder: Path, owners: Collection[str]) -> int:
    """Take some people out of all notes; return how many files held them, or may have."""
    _clear_unfinished(files, folder)
    num_files = 0
    people = pa.array(sorted(owners), pa.string())
    for name in files.names(folder):
        path = inside(folder, name)
        try:
            notes = decode(files.read(path), path, schema=_SCHEMA)
        except StoreDamagedError:
            files.remove(path)
            num_files += 1
            continue
        others = notes.filter(pc.invert(pc.is_in(notes["owner"], people)))
        if others.num_rows < notes.num_rows:
            files.replace(path, encode(others))
            num_files += 1
    return num_files


def name_of(bucket: int) -> str:
    """Return the name of the file with the notes of a bucket."""
    return f"{bucket:04d}{PARQUET}"


def _read(files: Objects, path: Path) -> tuple[dict[str, dict[str, bytes]], dict[str, int]]:
    entries: dict[str, dict[str, bytes]] = {}
    days: dict[str, int] = {}
    try:
        notes = decode(files.read(path), path, schema=_SCHEMA)
    except FileNotFoundError:
        return entries, days
    except StoreDamagedError as error:
        _log.warning("damaged notes are passed over and made anew: %s", error)
        return entries, days
    columns = (notes[name].to_pylist() for name in _SCHEMA.names)
    for owner, name, data, day in zip(*columns, strict=True):
        if None not in (owner, name, data, day):
            entries.setdefault(owner, {})[name] = data
            days[owner] = day
    return entries, days


def _clear_unfinished(files: Objects, folder: Path) -> None:
    for name in files.names(folder):
        if name.startswith(TEMPORARY):
            files.remove(folder / name)
