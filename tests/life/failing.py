"""Failures of the disk, in this process: a run that dies at a file call, or is told to stop."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from personalm.errors import PersonalmError
from personalm.store.files import LocalFiles
from tests.store.faults import bad_disk, interrupt, no_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Killed(BaseException):
    """The end of a process that is killed: nothing whatever is done after it."""


def die() -> None:
    """End as of SIGKILL."""
    raise Killed


FAULTS = {"killed": die, "full disk": no_room, "bad disk": bad_disk, "Ctrl-C": interrupt}

ENDS = (Killed, PersonalmError, KeyboardInterrupt)
"""How a command ends that met one."""

_GROWING = frozenset({"_write", "mkdir", "_claim", "link", "symlink", "replace", "pwrite"})


@contextmanager
def failing(fault: str, step: int) -> Iterator[None]:
    """Let the n-th file call fail, counted from 1; a disk that is full stays full.

    After a kill no file is touched any more, whatever the code does on its way out.
    """
    call: Callable[..., Any] = LocalFiles.call
    remove_tree: Callable[..., Any] = shutil.rmtree
    num_calls = 0

    def counting(self: LocalFiles, function: Callable[..., Any], *args: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        is_over = fault == "killed" and num_calls > step
        is_full = fault == "full disk" and num_calls > step and function.__name__ in _GROWING
        if num_calls == step or is_over or is_full:
            FAULTS[fault]()
        return call(self, function, *args)

    def removing(*args: Any, **kwargs: Any) -> None:
        if fault == "killed" and num_calls >= step:
            return
        remove_tree(*args, **kwargs)

    with ExitStack() as stack:
        stack.enter_context(patch.object(LocalFiles, "call", counting))
        stack.enter_context(patch.object(shutil, "rmtree", removing))
        yield
