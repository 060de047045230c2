"""The intake of a run: which users of the spilled inputs it looks at, and the plan of a bucket.

It knows inputs and planning, and nothing of what becomes of a plan.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from personalm.errors import SettingsError
from personalm.hashing import bucket_of_digest, user_digest
from personalm.inputs.spill import Spill, spill
from personalm.inputs.volume import measure_volume

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from personalm.accounts import LiveRow, Scope
    from personalm.assembly import Assembly
    from personalm.planning.ledger import Plan
    from personalm.progress import Progress
    from personalm.records import Key, UserInputs
    from personalm.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The inputs of a run, and what of them it takes up.

    `limits` are the users to look at in each bucket, `None` for all of them.
    """

    assembly: Assembly
    spilled: Spill
    limits: Sequence[int | None]
    scope: Scope

    @classmethod
    def of(
        cls,
        assembly: Assembly,
        spilled: Spill,
        *,
        limit: int | None,
        scope: Scope,
        progress: Progress,
    ) -> Intake:
        """Share a limit of users out over the buckets, in order.

        Raises SettingsError for a limit that is no number of users, and where rows that nobody
        asks for are to go although files were left out, which may have asked.
        """
        if limit is not None and not 0 <= limit <= sys.maxsize:
            raise SettingsError(f"limit: {limit} is no number of users")
        if spilled.report.skipped:
            scope = replace(scope, is_partial=True)
            if scope.prunes:
                raise SettingsError(
                    f"{len(spilled.report.skipped)} damaged files are left out, so nobody knows "
                    "which rows are asked for no more: nothing is withdrawn",
                    remedy="Mend the files, or run without --prune.",
                )
        limits = _cut(spilled, limit, scope)
        if scope.users is not None:
            num_found = sum(found or 0 for found in limits)
            progress.note(f"{num_found} of the {len(scope.users)} users named are served")
        return cls(assembly=assembly, spilled=spilled, limits=limits, scope=scope)

    @property
    def buckets(self) -> tuple[int, ...]:
        """Buckets with users to look at, in order."""
        return tuple(bucket for bucket, limit in enumerate(self.limits) if limit != 0)

    def plan(
        self, bucket: int, live: Mapping[Key, LiveRow], *, max_requests: int | None = None
    ) -> Plan:
        """Plan a bucket against its live rows."""
        limit = self.limits[bucket]
        return self.assembly.planner.plan(
            bucket,
            islice(_served(self.spilled, bucket, self.scope), limit),
            has_requests=self.spilled.has_requests,
            live=live,
            scope=replace(self.scope, max_requests=max_requests),
            is_whole=limit is None,
        )

    def strangers_to(self, bucket: int, owners: Collection[str]) -> set[str]:
        """Return who of some people, by digest, a bucket may keep nothing about.

        They have opted out, or are of another bucket and nobody asks for their voice any more.
        """
        if not owners:
            return set()
        refusals, voices = self.spilled.refusals(bucket), self.spilled.voices(bucket)
        return {
            owner
            for owner in owners
            if owner in refusals
            or (bucket_of_digest(owner, self.spilled.num_buckets) != bucket and owner not in voices)
        }


@contextmanager
def read_inputs(
    settings: Settings, folder: Path, *, num_buckets: int, progress: Progress
) -> Iterator[Spill]:
    """Read the inputs into buckets, and say what was come across; they go at the end."""
    progress.begin_reading()
    with spill(
        settings.inputs, folder, num_buckets=num_buckets, on_rows=progress.read_rows
    ) as spilled:
        for line in spilled.report.lines():
            progress.note(line)
        yield spilled


def num_buckets_of(settings: Settings) -> int:
    """Return the number of buckets of a new output folder, by what the inputs hold."""
    return settings.store.buckets or measure_volume(settings.inputs).num_buckets


def _cut(spilled: Spill, limit: int | None, scope: Scope) -> tuple[int | None, ...]:
    if limit is None and scope.users is None:
        return (None,) * spilled.num_buckets
    limits: list[int | None] = []
    left = limit
    wanted = {bucket_of_digest(name, spilled.num_buckets) for name in scope.users or ()}
    for bucket in range(spilled.num_buckets):
        is_empty = left == 0 or (scope.users is not None and bucket not in wanted)
        found = 0 if is_empty else sum(1 for _ in islice(_served(spilled, bucket, scope), left))
        limits.append(found)
        left = None if left is None else left - found
    return tuple(limits)


def _served(spilled: Spill, bucket: int, scope: Scope) -> Iterator[UserInputs]:
    """Yield the users of a bucket that a run has to do with, in order.

    With a requests table these are the users it names, and those who opted out: what is published
    of theirs is withdrawn, whether they are still asked for or not.
    """
    for user in spilled.read(bucket):
        is_wanted = scope.users is None or user_digest(user.profile.user_id) in scope.users
        is_served = user.requests or user.profile.opt_out or not spilled.has_requests
        if is_wanted and is_served:
            yield user
