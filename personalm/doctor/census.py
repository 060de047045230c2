"""The census: users of the spilled inputs are counted, and their requests planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personalm.doctor.diagnosis import Census
from personalm.errors import PersonalmError
from personalm.planning.languages import normalise_language
from personalm.planning.tiers import tier_of
from personalm.records import Profile, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from personalm.assembly import Assembly
    from personalm.inputs.spill import Spill
    from personalm.planning.ledger import Plan
    from personalm.records import UserInputs


def count_people(
    spilled: Spill, assembly: Assembly | None, on_problem: Callable[[PersonalmError], None]
) -> Census:
    """Count the users of every bucket; without an assembly nothing of theirs is planned."""
    census = Census(is_planned=assembly is not None)
    for bucket in range(spilled.num_buckets):
        users = _counted(spilled, bucket, assembly, census)
        if assembly is not None:
            try:
                plan = assembly.planner.plan(
                    bucket, users, has_requests=spilled.has_requests, live={}
                )
                _count_plan(plan, assembly.kinds, census)
            except PersonalmError as error:
                on_problem(error)
                assembly, census.is_planned = None, False
        for _ in users:
            """The rest is counted, and not planned."""
    return census


def _counted(
    spilled: Spill, bucket: int, assembly: Assembly | None, census: Census
) -> Iterator[UserInputs]:
    """Count every user of a bucket, and yield those that a run has to do with."""
    for user in spilled.read(bucket):
        _count_user(user, assembly, census)
        if user.requests or user.profile.opt_out or not spilled.has_requests:
            yield user


def _count_user(user: UserInputs, assembly: Assembly | None, census: Census) -> None:
    profile = user.profile
    is_known = replace(profile, interactions=()) != Profile(user_id=profile.user_id)
    num_texts = len(profile.texts)
    census.num_for_unknown_threads += sum(
        r.thread_id is not None and r.thread_id not in user.threads for r in user.requests
    )
    if not is_known and not profile.interactions:
        # Nobody but the requests table has heard of this user.
        census.num_for_unknown_users += len(user.requests)
    census.num_users += 1
    census.num_texts += num_texts
    census.num_opted_out += profile.opt_out
    census.num_without_profile += not is_known
    census.num_without_history += not profile.interactions
    census.tiers[tier_of(num_texts)] += 1
    if assembly is not None:
        language = normalise_language(profile.language) or assembly.detect_language(profile.texts)
        census.languages[language] += 1


def _count_plan(plan: Plan, known: Container[str], census: Census) -> None:
    reasons = [outcome.rejection.reason for outcome in plan.rejected if outcome.rejection]
    census.num_requests += plan.num_requests
    census.num_to_write += plan.num_tasks
    census.num_refused_by_opt_out += len(plan.opted_out)
    census.rejections.update(str(reason) for reason in reasons)
    census.num_for_unknown_items += reasons.count(Reason.UNKNOWN_ITEM)
    census.num_for_unknown_voices += reasons.count(Reason.UNKNOWN_VOICE)
    kinds = [task.request.kind for unit in plan.units for task in unit.tasks]
    kinds += [outcome.key.kind for outcome in plan.rejected]
    kinds += [key.kind for key in plan.opted_out]
    # What has no template is the table's word alone, and may be a personal text of another column.
    census.kinds.update(kind for kind in kinds if kind in known)
    census.num_for_unknown_kinds += sum(kind not in known for kind in kinds)
