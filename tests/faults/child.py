"""The real command in a forked child, with a fault at one of its file calls.

The parent never loads torch, and never starts a thread: the child is a process as any other.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

# What the command needs is loaded once, here, and not again in every child.
from personalm import cli, pipeline, shell
from personalm.languages import identify_language
from personalm.store import reading, tidying, verify
from personalm.store.files import LocalFiles
from tests.faults.modes import MODES, applies, needs_room

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.modes import Mode

_LOADED = (pipeline, reading, tidying, verify)

# The identifier of languages unpacks its model at the first text: half a second, of 0.9 s a run.
identify_language("A text of any language loads it.", min_chars=0)

_FIRED = "!"
"""Line of the trace that says that the fault was met."""

SERVED = frozenset({0, shell.REJECTED_SOME})
"""Exit codes of a command that did what it was asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A mode of failure at the n-th call, counted from 1."""

    step: int
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended, and whether its fault was met.

    `modes` are those that could have struck at each of its calls.
    """

    code: int
    output: str
    errors: str
    modes: tuple[frozenset[str], ...]
    has_fired: bool

    @property
    def is_served(self) -> bool:
        """Whether the command did what it was asked to."""
        return self.code in SERVED


def run_command(
    arguments: Sequence[str],
    fault: Fault | None = None,
    before: Callable[[], None] | None = None,
) -> Ending:
    """Run a command line in a child and wait for its end; `before` is called in the child."""
    with TemporaryFile() as output, TemporaryFile() as errors, TemporaryFile() as trace:
        streams = (output, errors, trace)
        code = wait(start(lambda: _serve(arguments, fault, before, streams)))
        lines = _text_of(trace).splitlines()
        return Ending(
            code=code,
            output=_text_of(output),
            errors=_text_of(errors),
            modes=tuple(frozenset(line.split(",")) for line in lines if line != _FIRED),
            has_fired=_FIRED in lines,
        )


def start(work: Callable[[], int]) -> int:
    """Do work in a forked process; return its id."""
    if "torch" in sys.modules:
        raise RuntimeError("a process with torch in it must not be forked")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return child


def wait(child: int) -> int:
    """Wait for a forked process; return its exit code, the negative signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _serve(
    arguments: Sequence[str],
    fault: Fault | None,
    before: Callable[[], None] | None,
    streams: tuple[IO[bytes], ...],
) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, shell.stop)
    sys.stdout, sys.stderr = (io.TextIOWrapper(s, write_through=True) for s in streams[:2])
    _watch(fault, streams[2])
    if before:
        before()
    try:
        return shell.run_command(cli.app, list(arguments))
    except BaseException:  # noqa: BLE001 - as the interpreter does it: a traceback, and exit code 1
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _text_of(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def _watch(fault: Fault | None, trace: IO[bytes]) -> None:
    """Write down the calls of local files, and let one of them fail."""
    call: Callable[..., Any] = LocalFiles.call
    num_calls = 0
    has_fired = False

    def watching(self: LocalFiles, function: Callable[..., Any], *args: Any) -> Any:
        nonlocal num_calls, has_fired
        num_calls += 1
        names = (mode.name for mode in MODES if applies(mode, function, args))
        _note(trace, ",".join(names))

        def step() -> Any:
            return call(self, function, *args)

        if fault is None:
            return step()
        is_hit = num_calls == fault.step and applies(fault.mode, function, args)
        if is_hit:
            has_fired = True
            _note(trace, _FIRED)
        if is_hit or (has_fired and fault.mode.lasts and needs_room(function)):
            return fault.mode.strike(self, function, args, step)
        return step()

    setattr(LocalFiles, "call", watching)  # noqa: B010 - the types are wider, in this child alone


def _note(trace: IO[bytes], line: str) -> None:
    # Straight to the file: the next thing to happen may be the end of this process.
    os.write(trace.fileno(), f"{line}\n".encode())
