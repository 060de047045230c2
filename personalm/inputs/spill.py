"""Spill: every table read once, its rows laid into buckets on disk by user.

A bucket holds all that its users' records need, copies of the voices and threads that their
requests name included, so that it is read on its own, by any process. Which bucket a user falls
in depends on nothing but the id. A spill holds personal data: its folder is private, and goes
when the spill is closed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from personalm.errors import InputError, StoreError
from personalm.inputs.buckets import PRIVATE_FOLDER, Buckets, write_private
from personalm.inputs.report import InputReport
from personalm.inputs.spilling import SCHEMAS, Spilling
from personalm.inputs.users import UserRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from personalm.records import UserInputs
    from personalm.settings import Inputs

_VERSION = 2
_MARK = "spill"
_MANIFEST = "manifest.json"
_INTERACTIONS = "interactions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """The inputs, in buckets on disk; see `spill`."""

    folder: Path
    num_buckets: int
    has_requests: bool
    report: InputReport
    requests_by_bucket: tuple[int, ...]
    is_owner: bool
    """Whether closing deletes the folder: it is not for a process that only attached."""

    @classmethod
    def attach(cls, folder: Path) -> Spill:
        """Open a spill that another process, or this one, has written. Raises InputError."""
        try:
            values = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            values = {}
        if values.get("version") != _VERSION:
            raise InputError(
                f"{folder} holds no finished spill of this version",
                remedy="Start the run again, so that it reads the inputs anew.",
            )
        return cls(
            folder=folder,
            num_buckets=values["num_buckets"],
            has_requests=values["has_requests"],
            report=InputReport.from_json(values["report"]),
            requests_by_bucket=tuple(values["requests_by_bucket"]),
            is_owner=False,
        )

    def num_requests(self, bucket: int) -> int:
        """Return the number of rows of the requests table in a bucket."""
        return self.requests_by_bucket[bucket]

    def read(self, bucket: int) -> Iterator[UserInputs]:
        """Yield the users of a bucket in the order of their digests."""
        buckets = {name: Buckets(self.folder / name, schema) for name, schema in SCHEMAS.items()}
        return UserRows(**{name: each.read(bucket) for name, each in buckets.items()}).users()

    def texts(self, bucket: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the id of each user of a bucket with the texts of all that the user wrote."""
        rows = Buckets(self.folder / _INTERACTIONS, SCHEMAS[_INTERACTIONS]).read(bucket)
        ids, texts = (rows.column(name).to_pylist() for name in ("user_id", "text"))
        # A bucket is sorted by user.
        for user_id, group in groupby(zip(ids, texts, strict=True), itemgetter(0)):
            yield user_id, tuple(text for _, text in group if text)

    def close(self) -> None:
        """Delete the folder, if this is the spill that wrote it."""
        if self.is_owner:
            shutil.rmtree(self.folder, ignore_errors=True)

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
    spilling = Spilling(inputs, folder, num_buckets=num_buckets, on_rows=on_rows)
    _refuse_foreign(folder)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True)
        write_private(folder / _MARK, b"")
        report, requests_by_bucket = spilling.write()
        # Arrow keeps what it has freed for later, and nothing later needs as much.
        pa.default_memory_pool().release_unused()
        spilled = Spill(
            folder=folder,
            num_buckets=num_buckets,
            has_requests=spilling.has_requests,
            report=report,
            requests_by_bucket=requests_by_bucket,
            is_owner=True,
        )
        _write_manifest(spilled)
    except BaseException as error:
        free = _free_bytes(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise StoreError(
                f"the inputs cannot be laid out in {folder}: {error.strerror or error}; "
                f"{free:,} bytes are free there"
            ) from None
        raise
    return spilled


def _write_manifest(spilled: Spill) -> None:
    values = {
        "version": _VERSION,
        "num_buckets": spilled.num_buckets,
        "has_requests": spilled.has_requests,
        "report": spilled.report.to_json(),
        "requests_by_bucket": spilled.requests_by_bucket,
    }
    unfinished = spilled.folder / f"{_MANIFEST}.tmp"
    write_private(unfinished, json.dumps(values).encode())
    unfinished.replace(spilled.folder / _MANIFEST)


def _refuse_foreign(folder: Path) -> None:
    """Leave alone a folder that holds something else."""
    if not folder.exists() or (folder / _MARK).exists():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise StoreError(
            f"{folder} is in the way: it was not made by reading inputs",
            remedy="Move it away, or name another folder.",
        )


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder if folder.exists() else folder.parent).free
    except OSError:
        return 0
