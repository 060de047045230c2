"""Forecasts: what a run would do, and why, without a run.

Nothing is generated and the output folder is not touched. The inputs are laid out in a temporary
folder, which goes at the end.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.accounts import EVERYTHING, Change, Counts, Scope
from personalm.assembly import Assembly
from personalm.common_artefacts import foresee_missing
from personalm.errors import faults_in_words
from personalm.intake import Intake, num_buckets_of, read_inputs
from personalm.progress import SilentProgress
from personalm.store.store import Store
from personalm.store.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from personalm.planning.ledger import Plan
    from personalm.progress import Progress
    from personalm.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run would do: its counts, and of each kind why how many texts would be written.

    The counts are those of a run that ends well, but that nothing is generated yet:
    `generated` are the texts to write, and neither results nor rejections of theirs.
    """

    counts: Counts
    changes: Mapping[tuple[str, Change], int]


@contextmanager
def open_plans(
    settings: Settings,
    *,
    limit: int | None = None,
    scope: Scope = EVERYTHING,
    against: Store | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Iterator[tuple[Assembly, Iterator[Plan]]]:
    """Plan every bucket; with `against` a store, what is unchanged there is not planned again.

    Against a store, what is made of all users together counts as another where a run would make
    it: where it is missing, and on demand with `rebuild`.
    """
    progress = progress or SilentProgress()
    with faults_in_words(), ExitStack() as stack:
        assembly = Assembly(settings)
        num_buckets = against.num_buckets if against else num_buckets_of(settings)
        folder = stack.enter_context(temporary_folder())
        inputs = read_inputs(settings, folder / "spill", num_buckets=num_buckets, progress=progress)
        spilled = stack.enter_context(inputs)
        output = against or Store.find(settings.output)
        if output is not None and not rebuild:
            assembly.use(output.artefacts)
        if against is not None:
            foresee_missing(assembly, spilled, rebuild=rebuild)
        intake = Intake.of(assembly, spilled, limit=limit, scope=scope, progress=progress)
        yield assembly, _plans(intake, against)


def _plans(intake: Intake, against: Store | None) -> Iterator[Plan]:
    left = intake.scope.max_requests
    for bucket in intake.buckets:
        live = against.live(bucket) if against else {}
        plan = intake.plan(bucket, live, max_requests=left)
        if left is not None:
            left -= plan.num_tasks
        yield plan


def forecast(
    settings: Settings,
    *,
    limit: int | None = None,
    scope: Scope = EVERYTHING,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Forecast:
    """Say what a run would do, and why; nothing is generated and nothing changes."""
    against = Store.find(settings.output)
    counts = Counts()
    changes: Counter[tuple[str, Change]] = Counter()
    with open_plans(
        settings, limit=limit, scope=scope, against=against, rebuild=rebuild, progress=progress
    ) as (_, plans):
        for plan in plans:
            changes.update(plan.changes)
            counts += Counts(
                requests=plan.num_requests,
                rejections=len(plan.rejected),
                unchanged=len(plan.unchanged),
                opted_out=len(plan.opted_out),
                generated=plan.num_tasks,
                deferred=plan.num_deferred,
                withdrawn=len(plan.withdrawn),
                orphaned=len(plan.orphaned),
            )
    return Forecast(counts=counts, changes=changes)
