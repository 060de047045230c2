"""Conditions: whose profile the prompt shows, with everything else left as it is.

A text's noise is drawn by the name of its request, so a user's requests keep their names in every
condition: same subjects, same noise, same number of candidates.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from personalm.hashing import digest
from personalm.records import Profile, Rejection, Task, UserInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from personalm.evaluation.people import Person
    from personalm.planning.planner import Planner
    from personalm.records import Request


class Condition(StrEnum):
    """Whose profile a prompt shows."""

    OWN = "own"
    RANDOM = "random"
    NEAREST = "nearest"
    NONE = "none"


def pick_random(people: Sequence[Person]) -> tuple[int, ...]:
    """Return somebody else for each person, by hash of the person's id."""
    picks = []
    for place, person in enumerate(people):
        step = 1 + int(digest(["another", person.user_id])[:12], 16) % (len(people) - 1)
        picks.append((place + step) % len(people))
    return tuple(picks)


def pick_nearest(rows: NDArray[np.float64]) -> tuple[int, ...]:
    """Return for each person the other one whose row is most like it.

    *Shape:* `rows` (people, dimensions), of length 1.
    """
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    return tuple(int(place) for place in cosines.argmax(axis=1))


def show_profile(person: Person, shown: Person | None, *, language: str) -> Profile:
    """Return the profile that prompts of a person show: somebody's, under the person's own id."""
    if shown is None:
        return Profile(user_id=person.user_id, language=language)
    return replace(shown.profile, user_id=person.user_id, language=language)


def plan_tasks(
    planner: Planner, profile: Profile, requests: Sequence[Request]
) -> tuple[tuple[Task, ...], tuple[Rejection, ...]]:
    """Return the tasks of a profile, one a request, and the requests that cannot be served."""
    decided = [planner.task_for(UserInputs(profile=profile), request) for request in requests]
    return (
        tuple(each for each in decided if isinstance(each, Task)),
        tuple(each for each in decided if isinstance(each, Rejection)),
    )
