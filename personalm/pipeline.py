"""The main job as one loop: inputs, planning, prompting, generation, selection, store.

`Run` is one run of one output folder: the driver opens it, its buckets are written (here, or by
workers that attach to it), and the driver publishes. This module knows the rooms by their names
and nothing of Parquet, Prefect or torch.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from personalm.assembly import Assembly
from personalm.hashing import digest
from personalm.inputs.spill import Spill, spill
from personalm.inputs.volume import measure_volume
from personalm.progress import SilentProgress
from personalm.records import Counts, Outcome
from personalm.settings import Settings
from personalm.store.files import LocalFiles
from personalm.store.journal import Journal
from personalm.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from personalm.planning.planner import Plan
    from personalm.progress import Progress
    from personalm.records import Key, UserInputs

_log = logging.getLogger(__name__)

_SPEC = "spec.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketReport:
    """What became of one bucket: its counts, the units of its plan, the users who opted out."""

    bucket: int
    counts: Counts
    units: tuple[str, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did: its counts and the snapshot it made, `None` where nothing changed."""

    run_id: str
    counts: Counts
    snapshot: int | None
    notes: tuple[str, ...] = ()


class Run:
    """One run on one output folder; several processes may write its buckets."""

    def __init__(
        self,
        *,
        assembly: Assembly,
        spilled: Spill,
        store: Store,
        journal: Journal,
        limits: Sequence[int | None],
    ) -> None:
        self._assembly = assembly
        self._spilled = spilled
        self._store = store
        self._journal = journal
        self._limits = limits

    @property
    def folder(self) -> Path:
        """Folder by which a worker attaches to this run."""
        return self._journal.folder

    @property
    def buckets(self) -> tuple[int, ...]:
        """Buckets that this run looks at, in order."""
        return tuple(b for b, limit in enumerate(self._limits) if limit != 0)

    @classmethod
    def attach(cls, folder: Path) -> Run:
        """Open a run that a driver in another process, or this one, has begun."""
        spec = json.loads((folder / _SPEC).read_text(encoding="utf-8"))
        settings = Settings.model_validate(spec["settings"])
        journal = Journal.attach(folder)
        return cls(
            assembly=Assembly(settings),
            spilled=Spill.attach(journal.spill_folder),
            store=Store.open(settings.output, buckets=len(spec["limits"])),
            journal=journal,
            limits=spec["limits"],
        )

    def write_bucket(self, bucket: int, *, progress: Progress | None = None) -> BucketReport:
        """Write every text of a bucket that is missing, unit by unit, into the journal."""
        progress = progress or SilentProgress()
        plan = _plan(
            self._assembly,
            self._spilled,
            bucket,
            self._limits[bucket],
            self._store.live(bucket),
        )
        done = {unit.unit_id for unit in plan.units if self._journal.has(unit.unit_id)}
        resumed = [unit for unit in plan.units if unit.unit_id in done]
        missing = [unit for unit in plan.units if unit.unit_id not in done]
        counts = Counts(
            requests=plan.num_requests,
            unchanged=len(plan.unchanged),
            opted_out=len(plan.opted_out),
        )
        for unit in resumed:
            counts += replace(_count(self._journal.read(unit.unit_id)), resumed=len(unit.tasks))
        rejected = self._journal_rejections(plan)
        counts += _count(plan.rejected)
        progress.enter_bucket(len(plan.units), done=len(resumed), counts=counts)
        for written in self._assembly.write(missing):
            keys = [task.request.key for task in written.unit.tasks]
            self._journal.write(written.unit.unit_id, written.outcomes, expected=keys)
            counts += replace(_count(written.outcomes), generated=len(keys))
            progress.finish_unit(written)
        return BucketReport(
            bucket=bucket,
            counts=counts,
            units=tuple(unit.unit_id for unit in plan.units) + rejected,
            withdrawn=tuple(sorted(plan.withdrawn)),
        )

    def _journal_rejections(self, plan: Plan) -> tuple[str, ...]:
        """Journal what planning refused, as a unit of its own."""
        if not plan.rejected:
            return ()
        keys = [outcome.key for outcome in plan.rejected]
        name = digest([[asdict(o.key), o.fingerprint] for o in plan.rejected])[:16]
        unit_id = f"{plan.bucket:04d}-rejected-{name}"
        if not self._journal.has(unit_id):
            self._journal.write(unit_id, plan.rejected, expected=keys)
        return (unit_id,)

    def publish(self, reports: Sequence[BucketReport]) -> Summary:
        """Check that requests in and outcomes out add up, and commit them as one snapshot."""
        counts = sum((report.counts for report in reports), Counts())
        snapshot = self._store.publish(
            self._journal,
            units={report.bucket: report.units for report in reports},
            withdrawn={r.bucket: frozenset(r.withdrawn) for r in reports if r.withdrawn},
            counts=counts,
        )
        number = snapshot.number if snapshot else None
        return Summary(run_id=self._journal.run_id, counts=counts, snapshot=number)


@contextmanager
def open_run(
    settings: Settings, *, limit: int | None = None, progress: Progress | None = None
) -> Iterator[Run]:
    """Lock the output, read the inputs into buckets, and begin or resume a run.

    `limit` is a number of users, in the order of their digests.
    """
    progress = progress or SilentProgress()
    assembly = Assembly(settings)
    store = Store.open(settings.output, buckets=num_buckets_of(settings), keep=settings.store.keep)
    with store.lock():
        journal = store.start_run(assembly.fingerprint)
        progress.begin_reading()
        with spill(
            settings.inputs,
            journal.spill_folder,
            num_buckets=store.num_buckets,
            on_rows=progress.read_rows,
        ) as spilled:
            for line in spilled.report.lines():
                progress.note(line)
            limits = _cut(spilled, limit)
            _write_spec(journal.folder, settings, limits)
            yield Run(
                assembly=assembly, spilled=spilled, store=store, journal=journal, limits=limits
            )


def run(
    settings: Settings, *, limit: int | None = None, progress: Progress | None = None
) -> Summary:
    """Write every text that is missing or out of date, and publish them as one snapshot."""
    progress = progress or SilentProgress()
    with open_run(settings, limit=limit, progress=progress) as opened:
        progress.begin_writing(len(opened.buckets))
        reports = [opened.write_bucket(b, progress=progress) for b in opened.buckets]
        return opened.publish(reports)


@contextmanager
def open_plans(
    settings: Settings,
    *,
    limit: int | None = None,
    against: Store | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Assembly, Iterator[Plan]]]:
    """Plan without a run: nothing is written but a temporary folder, which goes at the end.

    With `against` a store, what is unchanged there is not planned again.
    """
    progress = progress or SilentProgress()
    assembly = Assembly(settings)
    num_buckets = against.num_buckets if against else num_buckets_of(settings)
    progress.begin_reading()
    with (
        TemporaryDirectory(prefix="personalm-") as folder,
        spill(
            settings.inputs,
            Path(folder) / "spill",
            num_buckets=num_buckets,
            on_rows=progress.read_rows,
        ) as spilled,
    ):
        for line in spilled.report.lines():
            progress.note(line)
        limits = _cut(spilled, limit)
        yield (
            assembly,
            (
                _plan(assembly, spilled, b, limits[b], against.live(b) if against else {})
                for b in range(num_buckets)
                if limits[b] != 0
            ),
        )


def count(
    settings: Settings, *, limit: int | None = None, progress: Progress | None = None
) -> Counts:
    """Count what a run would do; `generated` are the texts it would write."""
    against = Store.find(settings.output)
    total = Counts()
    with open_plans(settings, limit=limit, against=against, progress=progress) as (_, plans):
        for plan in plans:
            total += Counts(
                requests=plan.num_requests,
                rejections=len(plan.rejected),
                unchanged=len(plan.unchanged),
                opted_out=len(plan.opted_out),
                generated=sum(len(unit.tasks) for unit in plan.units),
            )
    return total


def num_buckets_of(settings: Settings) -> int:
    """Return the number of buckets of a new output folder, by what the inputs hold."""
    return settings.store.buckets or measure_volume(settings.inputs).num_buckets


def _plan(
    assembly: Assembly,
    spilled: Spill,
    bucket: int,
    limit: int | None,
    live: Mapping[Key, str],
) -> Plan:
    return assembly.planner.plan(
        bucket,
        islice(_served(spilled, bucket), limit),
        has_requests=spilled.has_requests,
        live=live,
    )


def _served(spilled: Spill, bucket: int) -> Iterator[UserInputs]:
    """Yield the users of a bucket that a run has to do with, in order.

    With a requests table these are the users it names, and those who opted out: what is published
    of theirs is withdrawn, whether they are still asked for or not.
    """
    for user in spilled.read(bucket):
        if user.requests or user.profile.opt_out or not spilled.has_requests:
            yield user


def _cut(spilled: Spill, limit: int | None) -> list[int | None]:
    """Share a limit of users out over the buckets, in order."""
    if limit is None:
        return [None] * spilled.num_buckets
    limits: list[int | None] = []
    left = limit
    for bucket in range(spilled.num_buckets):
        found = sum(1 for _ in islice(_served(spilled, bucket), left)) if left else 0
        limits.append(found)
        left -= found
    return limits


def _count(outcomes: Sequence[Outcome]) -> Counts:
    num_results = sum(outcome.result is not None for outcome in outcomes)
    return Counts(results=num_results, rejections=len(outcomes) - num_results)


def _write_spec(folder: Path, settings: Settings, limits: Sequence[int | None]) -> None:
    """Leave what a worker needs to know in the run's folder."""
    whole = settings.model_copy(update={"output": settings.output.resolve()})
    spec = {"settings": whole.model_dump(mode="json"), "limits": list(limits)}
    LocalFiles().replace(folder / _SPEC, json.dumps(spec).encode())
