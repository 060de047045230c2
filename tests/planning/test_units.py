"""Laws of units."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from personalm.planning.units import cut_units
from personalm.records import Profile, Request, Task


def _task(number: int, *, kind: str = "post", fingerprint: str = "f") -> Task:
    profile = Profile(user_id=f"u{number}")
    return Task(
        request=Request(user_id=profile.user_id, kind=kind, subject_id="s"),
        profile=profile,
        voice=profile,
        tier="0",
        language="en",
        fingerprint=fingerprint,
    )


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 100))
def test_every_task_is_in_one_unit_and_units_keep_the_limit(sizes: list[int], limit: int) -> None:
    """A unit passes the limit only where one task alone does."""
    tasks = [_task(n) for n in range(len(sizes))]
    size_of = {f"u{n}": size for n, size in enumerate(sizes)}

    def tokens_of(task: Task) -> int:
        return size_of[task.request.user_id]

    units = cut_units(3, tasks, unit_tokens=limit, tokens_of=tokens_of)

    found = [task.request.user_id for unit in units for task in unit.tasks]
    assert sorted(found) == sorted(size_of)
    assert all(len(unit.tasks) == 1 or sum(map(tokens_of, unit.tasks)) <= limit for unit in units)
    assert len({unit.unit_id for unit in units}) == len(units)
    assert all(unit.bucket == 3 and unit.unit_id.startswith("0003-") for unit in units)


def test_the_order_of_the_tasks_does_not_matter() -> None:
    """Units follow from the tasks, not from how the files were read."""
    tasks = [_task(n, kind=kind) for n in range(20) for kind in ("post", "blurb")]

    def cut(given: list[Task]) -> list[str]:
        return [u.unit_id for u in cut_units(0, given, unit_tokens=7, tokens_of=lambda _: 2)]

    assert cut(tasks) == cut(tasks[::-1])


def test_tasks_of_a_kind_stand_together() -> None:
    """Only one unit holds two kinds."""
    tasks = [_task(n, kind=kind) for n in range(9) for kind in ("post", "blurb")]

    units = cut_units(0, tasks, unit_tokens=4, tokens_of=lambda _: 1)

    assert sum(len({task.request.kind for task in unit.tasks}) > 1 for unit in units) <= 1


def test_a_changed_input_makes_another_unit() -> None:
    """A journal is never used for other work than it was written for."""
    tasks = [_task(n) for n in range(3)]
    changed = [*tasks[:2], replace(tasks[2], fingerprint="other")]

    (before,) = cut_units(0, tasks, unit_tokens=9, tokens_of=lambda _: 1)
    (after,) = cut_units(0, changed, unit_tokens=9, tokens_of=lambda _: 1)

    assert before.unit_id != after.unit_id
