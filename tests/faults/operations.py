"""Operations on an output folder: the commands that change it, and what there is before each.

A new one is one entry in `OPERATIONS`: how its base is made, its command line, and what it is.
"""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personalm import cli
from tests.faults.child import Fault, run_command
from tests.faults.modes import Mode
from tests.faults.world import FIRST, SECOND, USERS, make_world, output_of

if TYPE_CHECKING:
    from collections.abc import Callable


class WorldError(Exception):
    """What there has to be before an operation cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A command that changes an output folder.

    `prepare` makes the world before it. Of a run, units that were journalled are never written
    again, and a repetition changes nothing.
    """

    name: str
    prepare: Callable[[Path], None]
    arguments: tuple[str, ...]
    is_run: bool = False

    def command(self, place: Path) -> list[str]:
        """Return the command line in a world."""
        return [part.format(place=place, out=output_of(place)) for part in self.arguments]


def _new(place: Path) -> None:
    make_world(place)


def _published(place: Path) -> None:
    make_world(place)
    _serve(place, FIRST)


def _twice_published(place: Path) -> None:
    _published(place)
    _serve(place, SECOND)


def _killed_while_writing(place: Path) -> None:
    """Leave the second night killed after its first unit."""
    _published(place)
    _kill_at(place, lambda _: any(output_of(place).glob("_runs/*/units/*.parquet")))


def _killed_before_commit(place: Path) -> None:
    """Leave the second night killed when all its files are written and none is published."""
    _published(place)
    _kill_at(place, lambda path: path.parent.name == "_snapshots")


def _serve(place: Path, settings: str) -> None:
    done = run_command(["run", "--config", str(place / settings)])
    if not done.is_served:
        raise WorldError(f"the world cannot be made: {done.errors}")


def _kill_at(place: Path, is_reached: Callable[[Path], bool]) -> None:
    """Kill the second night at the first write of which something is true."""

    def strike(
        _files: object, _function: object, arguments: tuple[Any, ...], step: Callable[[], Any]
    ) -> Any:
        if isinstance(arguments[0], Path) and is_reached(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)
        return step()

    watch = Mode(name="watch", strike=strike, exit_codes=frozenset(), lasts=True)
    done = run_command(["run", "--config", str(place / SECOND)], Fault(step=1, mode=watch))
    if done.code != -signal.SIGKILL:
        raise WorldError(f"the run ended with {done.code}: {done.errors}")


_RUN_FIRST = ("run", "--config", f"{{place}}/{FIRST}")
_RUN_SECOND = ("run", "--config", f"{{place}}/{SECOND}")

OPERATIONS = (
    Operation(name="first run", prepare=_new, arguments=_RUN_FIRST, is_run=True),
    Operation(name="run", prepare=_published, arguments=_RUN_SECOND, is_run=True),
    Operation(name="resume", prepare=_killed_while_writing, arguments=_RUN_SECOND, is_run=True),
    Operation(name="publish", prepare=_killed_before_commit, arguments=_RUN_SECOND, is_run=True),
    Operation(name="rollback", prepare=_twice_published, arguments=("rollback", "{out}", "1")),
    Operation(
        name="vacuum", prepare=_twice_published, arguments=("vacuum", "{out}", "--keep", "1")
    ),
    Operation(name="forget", prepare=_twice_published, arguments=("forget", "{out}", USERS[0])),
)


def known_operations() -> tuple[Operation, ...]:
    """Return the operations whose command there is."""
    commands = set(cli.app.resolved_commands())
    return tuple(operation for operation in OPERATIONS if operation.arguments[0] in commands)


def copy_world(base: Path, place: Path) -> None:
    """Copy a world; its settings lead into the copy."""
    shutil.copytree(base, place, symlinks=True)
    for settings in (FIRST, SECOND):
        path = place / settings
        path.write_text(path.read_text().replace(str(base), str(place)))
