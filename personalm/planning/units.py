"""Units: the fixed portions in which a bucket's tasks are generated and journalled.

A unit's name follows from its tasks, so an input that changes makes another unit and the journal
of an interrupted run is only ever used for the same work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.hashing import digest, user_digest
from personalm.records import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from personalm.records import Task


def cut_units(
    bucket: int, tasks: Iterable[Task], *, unit_tokens: int, tokens_of: Callable[[Task], int]
) -> tuple[Unit, ...]:
    """Cut tasks into units whose new tokens stay within `unit_tokens`, one task at the least."""
    portions = _portions(order_tasks(tasks), unit_tokens, tokens_of)
    return tuple(_unit(bucket, part) for part in portions)


def order_tasks(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return tasks in the order in which they are written.

    Those of a kind stand together: they share the head of their prompts.
    """
    return tuple(sorted(tasks, key=_place))


def _place(task: Task) -> tuple[str, str, str]:
    key = task.request.key
    return key.kind, user_digest(key.user_id), key.subject_id


def _portions(
    tasks: Sequence[Task], limit: int, tokens_of: Callable[[Task], int]
) -> Iterator[list[Task]]:
    portion: list[Task] = []
    num_tokens = 0
    for task in tasks:
        tokens = tokens_of(task)
        if portion and num_tokens + tokens > limit:
            yield portion
            portion, num_tokens = [], 0
        portion.append(task)
        num_tokens += tokens
    if portion:
        yield portion


def _unit(bucket: int, tasks: Sequence[Task]) -> Unit:
    keys = [t.request.key for t in tasks]
    name = digest(
        [
            [key.user_id, key.kind, key.subject_id, task.fingerprint]
            for key, task in zip(keys, tasks, strict=True)
        ]
    )
    return Unit(unit_id=f"{bucket:04d}-{name[:16]}", bucket=bucket, tasks=tuple(tasks))
