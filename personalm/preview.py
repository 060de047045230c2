"""Show what a run would ask and get for a few users, candidate by candidate; store nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personalm.forecasting import open_plans
from personalm.visible import visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from personalm.planning.ledger import Plan
    from personalm.progress import Progress
    from personalm.records import Candidate, Outcome, Unit
    from personalm.settings import Settings
    from personalm.writing import WrittenUnit

_RULE = "-" * 72


def print_preview(
    settings: Settings, *, num_users: int, kind: str | None, progress: Progress
) -> None:
    """Print prompt, candidates, scores and choice of the requests of the first users."""
    with open_plans(settings, limit=num_users, progress=progress) as (assembly, plans):
        if kind is not None:
            assembly.require_kind(kind)
        for unit in assembly.write(_units(plans, kind)):
            _print_unit(unit)


def print_candidates(candidates: Sequence[Candidate], chosen: object) -> None:
    """Print a line a candidate: style score, cosine, text; a dropped one says by which gate.

    The chosen one is marked.
    """
    for candidate in candidates:
        mark = "*" if candidate.number == chosen else " "
        score = "     " if candidate.style_score is None else f"{candidate.style_score:5.2f}"
        cosine = "     " if candidate.style_cosine is None else f"{candidate.style_cosine:5.2f}"
        dropped = f"  [{candidate.dropped_by}]" if candidate.dropped_by else ""
        print(f"{mark} {candidate.number:2d} {score} {cosine}  {candidate.text!r}{dropped}")


def _units(plans: Iterator[Plan], kind: str | None) -> Iterator[Unit]:
    for plan in plans:
        for outcome in plan.rejected:
            if kind in {None, outcome.key.kind}:
                _print_outcome(outcome)
        for unit in plan.units:
            tasks = tuple(t for t in unit.tasks if kind in {None, t.request.kind})
            if tasks:
                yield replace(unit, tasks=tasks)


def _print_unit(written: WrittenUnit) -> None:
    for outcome in written.outcomes:
        draws = written.draws.get(outcome.key)
        if draws:
            print(_RULE)
            print(visible(draws[0].prompt.text))
        _print_outcome(outcome)


def _print_outcome(outcome: Outcome) -> None:
    key, result, rejection = outcome.key, outcome.result, outcome.rejection
    print(_RULE)
    print(visible_line(f"{key.kind} for {key.user_id}, subject {key.subject_id}"))
    print_candidates(outcome.candidates, result.chosen if result else None)
    if result:
        print(visible(f"=> {result.text}"))
    if rejection:
        print(visible(f"=> rejected: {rejection.reason}: {rejection.message}"))
