"""The main job as one loop: inputs, planning, prompting, generation, selection, store.

`Run` is one run of one output folder: the driver opens it, its buckets are written (here, or by
workers that attach to it), and the driver publishes. This module knows the rooms by their names
and nothing of Parquet, Prefect or torch.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from personalm.accounts import EVERYTHING, Counts, Drops, Label, Scope
from personalm.assembly import Assembly
from personalm.common_artefacts import make_missing
from personalm.errors import StoreError, faults_in_words
from personalm.hashing import digest
from personalm.inputs.spill import Spill
from personalm.intake import Intake, num_buckets_of, read_inputs
from personalm.progress import SilentProgress
from personalm.run_spec import RunSpec
from personalm.store.journal import Journal
from personalm.store.store import Store
from personalm.store.temporary import clear_temporary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from personalm.planning.ledger import Plan
    from personalm.progress import Progress
    from personalm.records import Outcome
    from personalm.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketReport:
    """What became of one bucket: its counts, what was lost on the way, and the units of its plan.

    `num_labels` are rows that may answer another request than before; the journal names them. It
    crosses to other processes and programs: it names no user.
    """

    bucket: int
    counts: Counts
    units: tuple[str, ...]
    drops: Drops = field(default_factory=Drops)
    num_labels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did: its counts, what was lost on the way, and the snapshot it made, if any.

    `notes` tell which damaged files of the inputs were left out.
    """

    run_id: str
    counts: Counts
    snapshot: int | None
    drops: Drops = field(default_factory=Drops)
    notes: tuple[str, ...] = ()


class Run:
    """One run on one output folder; several processes may write its buckets."""

    def __init__(
        self,
        *,
        intake: Intake,
        store: Store,
        journal: Journal,
    ) -> None:
        self._intake = intake
        self._store = store
        self._journal = journal

    @property
    def folder(self) -> Path:
        """Folder by which a worker attaches to this run."""
        return self._journal.folder

    @property
    def buckets(self) -> tuple[int, ...]:
        """Buckets that this run looks at, in order."""
        return self._intake.buckets

    def sizes_of(self, buckets: Sequence[int]) -> tuple[int, ...]:
        """Return how much of the inputs is in each of some buckets."""
        return tuple(map(self._intake.spilled.size_of, buckets))

    @classmethod
    def attach(cls, folder: Path) -> Run:
        """Open a run that a driver in another process, or this one, has begun."""
        with faults_in_words():
            return cls._attach(folder)

    @classmethod
    def _attach(cls, folder: Path) -> Run:
        spec = RunSpec.read(folder)
        journal = Journal.attach(folder)
        assembly = Assembly(spec.settings)
        store = Store.open(spec.settings.output, buckets=len(spec.limits))
        assembly.use(store.artefacts)
        return cls(
            intake=Intake(
                assembly=assembly,
                spilled=Spill.attach(journal.spill_folder),
                limits=spec.limits,
                scope=spec.scope,
            ),
            store=store,
            journal=journal,
        )

    def write_bucket(
        self, bucket: int, *, max_requests: int | None = None, progress: Progress | None = None
    ) -> BucketReport:
        """Write every text of a bucket that is missing, unit by unit, into the journal.

        `max_requests` is how many of them at the most. Raises ProgramError for what nobody
        foresaw.
        """
        with faults_in_words():
            return self._write_bucket(bucket, max_requests, progress or SilentProgress())

    def _write_bucket(
        self, bucket: int, max_requests: int | None, progress: Progress
    ) -> BucketReport:
        live = self._store.live(bucket)
        plan = self._intake.plan(bucket, live, max_requests=max_requests)
        done = {unit.unit_id for unit in plan.units if self._journal.has(unit.unit_id)}
        resumed = [unit for unit in plan.units if unit.unit_id in done]
        missing = [unit for unit in plan.units if unit.unit_id not in done]
        counts = Counts(
            requests=plan.num_requests,
            unchanged=len(plan.unchanged),
            opted_out=len(plan.opted_out),
            deferred=plan.num_deferred,
            withdrawn=len(plan.withdrawn),
            orphaned=len(plan.orphaned),
        )
        drops = Drops()
        for unit in resumed:
            outcomes = self._journal.read(unit.unit_id)
            counts += replace(_count(outcomes), resumed=len(unit.tasks))
            drops += Drops.of(outcomes)
        rejected = self._journal_rejections(plan)
        counts += _count(plan.rejected)
        drops += Drops.of(plan.rejected)
        if plan.withdrawn:
            self._journal.withdraw(bucket, plan.withdrawn)
        # A unit of an earlier attempt names the requests of that day.
        asked = [task.request for unit in resumed for task in unit.tasks]
        labels = {**plan.labels, **{request.key: Label.of(request) for request in asked}}
        if labels:
            self._journal.relabel(bucket, labels)
        progress.enter_bucket(len(plan.units), done=len(resumed), counts=counts)
        assembly = self._intake.assembly
        max_bytes = assembly.settings.store.notes_mb << 20
        notes = self._store.notes(bucket, self._journal, max_bytes=max_bytes)
        notes.drop(self._intake.strangers_to(bucket, notes.owners))
        for written in assembly.write(missing, notes=notes):
            keys = [task.request.key for task in written.unit.tasks]
            self._journal.write(written.unit.unit_id, written.outcomes, expected=keys)
            counts += replace(_count(written.outcomes), generated=len(keys))
            drops += Drops.of(written.outcomes)
            progress.finish_unit(written)
        notes.save()
        return BucketReport(
            bucket=bucket,
            counts=counts,
            units=tuple(unit.unit_id for unit in plan.units) + rejected,
            drops=drops,
            num_labels=len(labels),
        )

    def _journal_rejections(self, plan: Plan) -> tuple[str, ...]:
        """Journal what planning refused, as a unit of its own."""
        if not plan.rejected:
            return ()
        keys = [outcome.key for outcome in plan.rejected]
        rejections = [outcome.rejection for outcome in plan.rejected]
        name = digest([asdict(rejection) for rejection in rejections if rejection])[:16]
        unit_id = f"{plan.bucket:04d}-rejected-{name}"
        if not self._journal.has(unit_id):
            self._journal.write(unit_id, plan.rejected, expected=keys)
        return (unit_id,)

    def publish(self, reports: Sequence[BucketReport]) -> Summary:
        """Check that requests in and outcomes out add up, and commit them as one snapshot."""
        counts = sum((report.counts for report in reports), Counts())
        drops = sum((report.drops for report in reports), Drops())
        with faults_in_words():
            snapshot = self._store.publish(
                self._journal,
                units={report.bucket: report.units for report in reports},
                withdrawn={
                    report.bucket: self._journal.withdrawn(report.bucket)
                    for report in reports
                    if report.counts.withdrawn
                },
                labels={
                    report.bucket: self._journal.labels(report.bucket)
                    for report in reports
                    if report.num_labels
                },
                counts=counts,
                drops=drops,
            )
        number = snapshot.number if snapshot else None
        return Summary(
            run_id=self._journal.run_id,
            counts=counts,
            snapshot=number,
            drops=drops,
            notes=self._intake.spilled.report.skipped_lines(),
        )


@contextmanager
def open_run(
    settings: Settings,
    *,
    limit: int | None = None,
    scope: Scope = EVERYTHING,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Iterator[Run]:
    """Lock the output, read the inputs into buckets, and begin or resume a run.

    `limit` is a number of users, in the order of their digests. `rebuild` makes anew what is made
    of all users together. Raises ProgramError for what nobody foresaw, in here or in the caller's
    block.
    """
    progress = progress or SilentProgress()
    with faults_in_words(), ExitStack() as stack:
        assembly = Assembly(settings)
        store = Store.open(
            settings.output, buckets=num_buckets_of(settings), keep=settings.store.keep
        )
        stack.enter_context(store.lock())
        with suppress(StoreError):  # it is told where it matters, by `personalm forget`
            clear_temporary()
        journal = store.start_run(assembly.fingerprint)
        inputs = read_inputs(
            settings, journal.spill_folder, num_buckets=store.num_buckets, progress=progress
        )
        spilled = stack.enter_context(inputs)
        if not rebuild:
            assembly.use(store.artefacts)
        make_missing(assembly, store.artefacts, spilled, rebuild=rebuild)
        intake = Intake.of(assembly, spilled, limit=limit, scope=scope, progress=progress)
        RunSpec.of(settings, intake).write(journal.folder)
        yield Run(intake=intake, store=store, journal=journal)


def run(
    settings: Settings,
    *,
    limit: int | None = None,
    scope: Scope = EVERYTHING,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Write every text that is missing or out of date, and publish them as one snapshot."""
    progress = progress or SilentProgress()
    with open_run(settings, limit=limit, scope=scope, rebuild=rebuild, progress=progress) as opened:
        progress.begin_writing(opened.sizes_of(opened.buckets))
        reports: list[BucketReport] = []
        left = scope.max_requests
        for bucket in opened.buckets:
            report = opened.write_bucket(bucket, max_requests=left, progress=progress)
            reports.append(report)
            if left is not None:
                left -= report.counts.generated + report.counts.resumed
        return opened.publish(reports)


def _count(outcomes: Sequence[Outcome]) -> Counts:
    num_results = sum(outcome.result is not None for outcome in outcomes)
    return Counts(results=num_results, rejections=len(outcomes) - num_results)
