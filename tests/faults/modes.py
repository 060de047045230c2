"""Modes of failure: what happens in place of one call of a file operation."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.store.parquet import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from personalm.store.files import LocalFiles

    Step = Callable[[], Any]
    Strike = Callable[[LocalFiles, Callable[..., Any], tuple[Any, ...], Step], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A way to fail, and the exit codes that a command which met it may have.

    `strike` takes the files, the function, its arguments and the step itself. A mode that lasts
    strikes at every later write too. One that `hits` data alone leaves other files as they are.
    """

    name: str
    strike: Strike
    exit_codes: frozenset[int]
    lasts: bool = False
    hits_writes_only: bool = False
    hits_data_only: bool = False


def _kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(number: int) -> Strike:
    def strike(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return strike


def _short(
    files: LocalFiles, function: Callable[..., Any], arguments: tuple[Any, ...], _step: Step
) -> None:
    path, data = arguments
    path.write_bytes(_bytes(data)[: len(_bytes(data)) // 2])
    del files, function
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _misdirect(
    files: LocalFiles, function: Callable[..., Any], arguments: tuple[Any, ...], _step: Step
) -> Any:
    """Write another sound file in place of the right one, as a disk that mixes up its blocks."""
    path, data = arguments
    table = pq.ParquetFile(pa.BufferReader(_bytes(data))).read(use_threads=False)
    others = pa.array(["another text"] * table.num_rows)
    name = next(name for name in ("text", "message") if name in table.column_names)
    other = table.set_column(table.column_names.index(name), table.schema.field(name), others)
    del files
    return function(path, encode(other))


def _bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else b"".join(data)


def _no_memory(*_: object) -> None:
    raise MemoryError


def _signal(number: signal.Signals) -> Strike:
    def strike(
        files: LocalFiles, function: Callable[..., Any], arguments: tuple[Any, ...], step: Step
    ) -> Any:
        del files, function, arguments
        signal.raise_signal(number)
        return step()

    return strike


FAILED = frozenset({1})

MODES = (
    Mode(name="SIGKILL", strike=_kill, exit_codes=frozenset({-signal.SIGKILL})),
    Mode(name="ENOSPC", strike=_raise(errno.ENOSPC), exit_codes=FAILED, lasts=True),
    Mode(name="EIO", strike=_raise(errno.EIO), exit_codes=FAILED),
    Mode(name="short write", strike=_short, exit_codes=FAILED, hits_writes_only=True),
    Mode(name="MemoryError", strike=_no_memory, exit_codes=FAILED),
    Mode(name="KeyboardInterrupt", strike=_signal(signal.SIGINT), exit_codes=frozenset({130})),
    Mode(name="SIGTERM", strike=_signal(signal.SIGTERM), exit_codes=frozenset({143})),
    Mode(
        name="misdirected write",
        strike=_misdirect,
        exit_codes=FAILED,
        hits_writes_only=True,
        hits_data_only=True,
    ),
)

_GROWING = frozenset({"_write", "mkdir", "_claim", "link", "symlink", "replace", "pwrite"})
"""Functions that need room on the disk."""


def applies(mode: Mode, function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Say whether a mode can strike at this call."""
    if mode.hits_writes_only and function.__name__ != "_write":
        return False
    return not mode.hits_data_only or Path(arguments[0]).parent.parent.name == "_data"


def needs_room(function: Callable[..., Any]) -> bool:
    """Say whether a call fails on a disk that is full."""
    return function.__name__ in _GROWING
