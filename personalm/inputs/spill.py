"""Spill: every table read once, its rows laid into buckets on disk by user.

A bucket holds all that its users' records need, copies of the voices and threads that their
requests name included, so that it is read on its own, by any process. Which bucket a user falls
in depends on nothing but the id. A spill holds personal data: its folder is private, and goes
when the spill is closed.

A spill that loses rows would lose users without a word, so every bucket is counted when it is
read. Whoever spills into the same folder takes another one inside it, and what was there before
goes: of two at once, neither reads the other's rows.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from personalm.disks import disk_is_full, is_of_a_full_disk
from personalm.errors import InputError, StoreError
from personalm.hashing import user_digest
from personalm.inputs.buckets import PRIVATE_FOLDER, Buckets, write_private
from personalm.inputs.report import InputReport
from personalm.inputs.spilling import SCHEMAS, Spilling
from personalm.inputs.users import UserRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from personalm.records import UserInputs
    from personalm.settings import Inputs

_VERSION = 4
_NAME = re.compile(r"[0-9a-f]{16}")
_MARK = "spill"
_MANIFEST = "manifest.json"
_INTERACTIONS = "interactions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """The inputs, in buckets on disk; see `spill`.

    `name` is that of the folder inside `folder` with the buckets, `num_rows` says how many rows of
    each table lie in each bucket.
    """

    folder: Path
    name: str
    num_buckets: int
    has_requests: bool
    report: InputReport
    num_rows: Mapping[str, tuple[int, ...]]
    is_owner: bool
    """Whether closing deletes the folder: it is not for a process that only attached."""

    @classmethod
    def attach(cls, folder: Path) -> Spill:
        """Open a spill that another process, or this one, has written. Raises InputError."""
        try:
            values = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            values = {}
        if values.get("version") != _VERSION or not _NAME.fullmatch(str(values.get("name"))):
            raise InputError(
                f"{folder} holds no finished spill of this version",
                remedy="Start the run again, so that it reads the inputs anew.",
            )
        return cls(
            folder=folder,
            name=values["name"],
            num_buckets=values["num_buckets"],
            has_requests=values["has_requests"],
            report=InputReport.from_json(values["report"]),
            num_rows={name: tuple(each) for name, each in values["num_rows"].items()},
            is_owner=False,
        )

    @property
    def own_folder(self) -> Path:
        """Folder of this spill alone, for what is made of it; it goes when the spill is closed."""
        return self.folder / self.name

    def num_requests(self, bucket: int) -> int:
        """Return the number of rows of the requests table in a bucket."""
        return self.num_rows["requests"][bucket]

    def size_of(self, bucket: int) -> int:
        """Return how much there is in a bucket: its requests, or rows without a requests table."""
        if self.has_requests:
            return self.num_requests(bucket)
        return sum(rows[bucket] for rows in self.num_rows.values())

    def read(self, bucket: int) -> Iterator[UserInputs]:
        """Yield the users of a bucket in the order of their digests.

        Raises StoreError where rows have gone or come since they were laid there.
        """
        return UserRows(**{name: self._rows(name, bucket) for name in SCHEMAS}).users()

    def texts(self, bucket: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the id of each user of a bucket with the texts of all that the user wrote.

        Raises StoreError as `read` does.
        """
        rows = self._rows(_INTERACTIONS, bucket)
        ids, texts = (rows.column(name).to_pylist() for name in ("user_id", "text"))
        # A bucket is sorted by user.
        for user_id, group in groupby(zip(ids, texts, strict=True), itemgetter(0)):
            yield user_id, tuple(text for _, text in group if text)

    def refusals(self, bucket: int) -> frozenset[str]:
        """Return the digests of the users of a bucket who have opted out.

        Raises StoreError as `read` does.
        """
        return frozenset(map(user_digest, _opted_out(self._rows("profiles", bucket))))

    def voices(self, bucket: int) -> frozenset[str]:
        """Return the digests of the users in whose voice a bucket may write, none who opted out.

        Raises StoreError as `read` does.
        """
        profiles = self._rows("voice_profiles", bucket)
        written = self._rows("voice_interactions", bucket)
        ids = {*profiles["user_id"].to_pylist(), *written["user_id"].to_pylist()}
        return frozenset(map(user_digest, ids - _opted_out(profiles)))

    def _rows(self, name: str, bucket: int) -> pa.Table:
        """Return the rows of a table in a bucket, all of them."""
        try:
            rows = Buckets(self.own_folder / name, SCHEMAS[name]).read(bucket)
        except (OSError, pa.ArrowInvalid):
            rows = None
        if rows is None or len(rows) != self.num_rows[name][bucket]:
            raise StoreError(
                f"{self.folder} has lost or gained inputs of this run since they were read",
                remedy="Another run, or whatever clears temporary files, was there. "
                "Run again: finished units are kept.",
            )
        return rows

    def close(self) -> None:
        """Delete what this spill wrote, if it did."""
        if self.is_owner:
            _delete(self.folder, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def spill(
    inputs: Inputs,
    folder: Path,
    *,
    num_buckets: int,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Spill:
    """Read every table into buckets below `folder`, which is made anew.

    `on_rows` is told how many rows were read, now and then. Raises InputError for inputs that do
    not follow the data contract, StoreError where the folder cannot be written. Whatever goes
    wrong, nothing is left behind.
    """
    name = secrets.token_hex(8)
    own = folder / name
    spilling = Spilling(inputs, own, num_buckets=num_buckets, on_rows=on_rows)
    _refuse_foreign(folder)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True)
        write_private(folder / _MARK, b"")
        own.mkdir(mode=PRIVATE_FOLDER)
        report, num_rows = spilling.write()
        # Arrow keeps what it has freed for later, and nothing later needs as much.
        pa.default_memory_pool().release_unused()
        spilled = Spill(
            folder=folder,
            name=name,
            num_buckets=num_buckets,
            has_requests=spilling.has_requests,
            report=report,
            num_rows=num_rows,
            is_owner=True,
        )
        _write_manifest(spilled)
    except BaseException as error:
        if not isinstance(error, OSError):
            _delete(folder, name)
            raise
        if is_of_a_full_disk(error):
            refusal = disk_is_full(folder / name)  # before what was written makes room again
        else:
            reason = error.strerror or error
            refusal = StoreError(f"the inputs cannot be laid out in {folder}: {reason}")
        _delete(folder, name)
        raise refusal from None
    return spilled


def _opted_out(profiles: pa.Table) -> set[str]:
    return set(profiles.filter(profiles["opt_out"])["user_id"].to_pylist())


def _write_manifest(spilled: Spill) -> None:
    values = {
        "version": _VERSION,
        "num_buckets": spilled.num_buckets,
        "has_requests": spilled.has_requests,
        "report": spilled.report.to_json(),
        "name": spilled.name,
        "num_rows": spilled.num_rows,
    }
    unfinished = spilled.folder / f"{_MANIFEST}.tmp"
    write_private(unfinished, json.dumps(values).encode())
    unfinished.replace(spilled.folder / _MANIFEST)


def _delete(folder: Path, name: str) -> None:
    """Delete a spill; its folder stays where another one has begun in it meanwhile."""
    shutil.rmtree(folder / name, ignore_errors=True)
    with suppress(OSError):
        if not any(_NAME.fullmatch(path.name) for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    """Leave alone a folder that holds something else."""
    if not folder.exists() or (folder / _MARK).exists():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise StoreError(
            f"{folder} is in the way: it was not made by reading inputs",
            remedy="Move it away, or name another folder.",
        )
