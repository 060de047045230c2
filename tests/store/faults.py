"""Local files that fail, die or keep a record of what was done, at a step of one's choice."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from personalm.store.files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

KILLED = 77
"""Exit code of a process that died at its step, as it would of SIGKILL: nothing is cleaned up."""


def no_room() -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def bad_disk() -> None:
    """Fail as a broken disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def no_memory() -> None:
    """Fail for want of memory."""
    raise MemoryError


def interrupt() -> None:
    """Stop as Ctrl-C does."""
    raise KeyboardInterrupt


def die() -> None:
    """End the process at once."""
    os._exit(KILLED)


class FaultyFiles(LocalFiles):
    """Meets a fault in place of its n-th step; a full disk stays full."""

    def __init__(self, step: int, fault: Callable[[], None]) -> None:
        self.num_steps = 0
        self._step = step
        self._fault = fault

    @property
    def has_fired(self) -> bool:
        """Whether the step was reached."""
        return self.num_steps >= self._step

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a step, or fail."""
        self.num_steps += 1
        is_full = self._fault is no_room and function.__name__ in {"_write", "mkdir", "_claim"}
        if self.num_steps == self._step or (self.has_fired and is_full):
            self._fault()
        return super().call(function, *args, **kwargs)


class LinklessFiles(FaultyFiles):
    """The same on a file system without hard links."""

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a step, or fail."""
        if function is os.link:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return super().call(function, *args, **kwargs)
