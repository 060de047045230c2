"""The n-th failure loop: every operation fails at every one of its file calls, in every mode.

After each failure the readers are asked, then the same command runs without one and must end
right; after some, it fails once more on its way. The folder is judged by `tests.faults.laws`.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personalm.errors import PersonalmError
from tests.faults.child import Fault, run_command
from tests.faults.laws import check_accounts, check_end, check_failure, journalled
from tests.faults.modes import MODES, Mode
from tests.faults.operations import Operation, copy_world
from tests.faults.world import last_counts, output_of, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Tally:
    """Faulted runs so far, and what was wrong after them."""

    num_runs: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, found: Iterator[str], *, where: str) -> None:
        """Note violations."""
        self.violations += [f"{where}: {violation}" for violation in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an operation does where nothing fails; the modes that can strike at each call."""

    old: str
    new: str
    modes: tuple[frozenset[str], ...]
    num_written: int


class Loop:
    """Fails one operation again and again, each time in a copy of its world."""

    def __init__(self, operation: Operation, place: Path, tally: Tally, *, seed: int) -> None:
        self._operation = operation
        self._place = place
        self._base = place / "base"
        self._tally = tally
        self._random = random.Random(f"{seed} {operation.name}")  # noqa: S311 - no secret
        operation.prepare(self._base)
        self._known = self._try()

    @property
    def num_calls(self) -> int:
        """File calls of the operation where nothing fails."""
        return len(self._known.modes)

    def run(self, mode: Mode, *, every: int = 1, until_found: bool = False) -> None:
        """Fail in a mode at each `every`-th call where it can strike.

        `until_found` says to stop at the first violation.
        """
        steps = [n for n, names in enumerate(self._known.modes, 1) if mode.name in names]
        first = self._random.randrange(min(every, len(steps))) if steps else 0
        for step in steps[first::every]:
            if until_found and self._tally.violations:
                return
            self.fail(Fault(step=step, mode=mode))

    def fail(self, fault: Fault) -> None:
        """Fail at one call, one time in three also while cleaning up; then run clean."""
        place = self._place / "world"
        copy_world(self._base, place)
        where = f"{self._operation.name}, call {fault.step}, {fault.mode.name}"
        try:
            if not self._strike(place, fault, where):
                return
            if self._random.random() < 1 / 3:
                step = self._random.randint(1, self.num_calls)
                second = Fault(step=step, mode=self._random.choice(MODES))
                where += f", then call {step}, {second.mode.name}"
                self._strike(place, second, where)
            self._recover(place, where)
        finally:
            shutil.rmtree(place)

    def _try(self) -> Known:
        """Run the operation in a copy without a fault: what comes out is right."""
        place = self._place / "world"
        copy_world(self._base, place)
        old = view_of(output_of(place))
        done = run_command(self._operation.command(place))
        new = view_of(output_of(place))
        self._tally.add(check_end(place, done, new={new}), where=self._operation.name)
        num_written = 0
        if self._operation.is_run:
            counts = last_counts(output_of(place))
            num_written = counts["generated"] + counts["resumed"]
        shutil.rmtree(place)
        return Known(old=old, new=new, modes=done.modes, num_written=num_written)

    def _strike(self, place: Path, fault: Fault, where: str) -> bool:
        """Run into a fault; say whether it was met."""
        ending = run_command(self._operation.command(place), fault)
        if not ending.has_fired:
            return False
        self._tally.num_runs += 1
        views = {self._known.old, self._known.new}
        found = check_failure(place, ending, fault.mode, views=views, new=self._known.new)
        self._tally.add(found, where=where)
        return True

    def _recover(self, place: Path, where: str) -> None:
        output = output_of(place)
        try:
            was_published = view_of(output) == self._known.new
        except PersonalmError:
            # Noted by the check of the readers already.
            was_published = False
        try:
            was_journalled = journalled(output)
        except PersonalmError as error:
            self._tally.violations.append(f"{where}: no status: {error}")
            was_journalled = 0
        ending = run_command(self._operation.command(place))
        where += ", then clean"
        self._tally.add(check_end(place, ending, new={self._known.new}), where=where)
        if self._operation.is_run and ending.is_served:
            found = check_accounts(
                output,
                was_journalled=was_journalled,
                was_published=was_published,
                num_written=self._known.num_written,
            )
            self._tally.add(found, where=where)
