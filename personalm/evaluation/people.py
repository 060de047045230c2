"""Who is compared: the people of an evaluation, and the others they are told apart from.

The choice is a function of the data alone, fixed before any figure was seen: all users with
enough texts that the split can part, in the order of the hash of their canonical id.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from personalm.discreet import Discreet
from personalm.errors import InputError
from personalm.evaluation.calibration import MIN_IMPOSTORS
from personalm.holdout import (
    MIN_HELD_OUT,
    MIN_HISTORY,
    MIN_TEXTS,
    distinct_texts,
    split_by_time,
    written_by,
)
from personalm.planning.tiers import tier_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from personalm.records import Profile

NUM_PEOPLE = 150
"""So many users are compared."""

MIN_PEOPLE = 4
"""With fewer there is nobody to be told apart from."""

_MIN_OTHERS = 2 * MIN_IMPOSTORS
"""Half of the others teach the judges, half are the strangers; fewer tell nothing."""

_MAX_OTHERS = 200
_ENOUGH_OTHERS = 60
_MIN_OTHER_TEXTS = 5


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Person(Discreet):
    """One user who is compared: what prompts may show, and the newer texts that they may not.

    The interactions of `profile` are the history alone. `held_out_since` is the day (UTC) of the
    oldest held-out text, None where it has no time.
    """

    profile: Profile
    held_out: tuple[str, ...]
    held_out_since: date | None = None

    @property
    def user_id(self) -> str:
        """The canonical id."""
        return self.profile.user_id

    @property
    def history(self) -> tuple[str, ...]:
        """The texts that prompts may show, oldest first."""
        return self.profile.texts

    @property
    def tier(self) -> str:
        """The tier of the history."""
        return tier_of(len(self.history))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Company(Discreet):
    """The people of an evaluation, and texts of others, a tuple each, who are not among them.

    The others are parted: `judges` fits what the judges know of the language, `impostors` are
    what scores are normalised against. `by_tier` counts all users of the tables; those who had
    enough texts, but of them `too_few_different` or on `too_few_days`, are not compared.
    """

    people: tuple[Person, ...]
    background: tuple[tuple[str, ...], ...]
    impostors: tuple[tuple[str, ...], ...]
    by_tier: dict[str, int]
    too_few_days: int
    too_few_different: int


@dataclass(slots=True, repr=False)
class _Gathering(Discreet):
    """Whom a walk over the users has found so far."""

    people: list[Person] = field(default_factory=list)
    others: list[tuple[str, ...]] = field(default_factory=list)
    by_tier: dict[str, int] = field(default_factory=dict)
    too_few_days: int = 0
    too_few_different: int = 0


def choose_people(
    users: Iterable[Profile],
    *,
    voice_kinds: Sequence[str] = (),
    num_people: int = NUM_PEOPLE,
    min_texts: int = MIN_TEXTS,
) -> Company:
    """Return the first users with enough texts to compare, and texts of others.

    `users` come in the order of the hash of their ids, as the spilled inputs give them. Users who
    have opted out are neither. Where hardly anybody else is left, a third of the people are taken
    as others, or as many as it takes. Raises InputError where too few are left to compare.
    """
    found = _Gathering()
    for user in users:
        tier = tier_of(len(user.texts))
        found.by_tier[tier] = found.by_tier.get(tier, 0) + 1
        if not user.opt_out:
            _sort_in(user, found, voice_kinds, num_people=num_people, min_texts=min_texts)
    if (
        len(found.people) < MIN_PEOPLE
        or len(found.people) + len(found.others) < MIN_PEOPLE + _MIN_OTHERS
    ):
        raise _too_few(found, min_texts)
    while len(found.others) < _num_wanted(len(found.people)):
        last = found.people.pop()
        found.others.append(last.history + last.held_out)
    return Company(
        people=tuple(found.people),
        background=tuple(found.others[::2]),
        impostors=tuple(found.others[1::2]),
        by_tier=found.by_tier,
        too_few_days=found.too_few_days,
        too_few_different=found.too_few_different,
    )


def _num_wanted(num_people: int) -> int:
    """Return how many others so many people are told apart from at the least."""
    return max(_MIN_OTHERS, min(_ENOUGH_OTHERS, num_people // 2))


def _too_few(found: _Gathering, min_texts: int) -> InputError:
    return InputError(
        f"too few users to compare: {len(found.people)} beside {len(found.others)} others have "
        f"{min_texts} texts or more, on days enough to hold some of them out; it takes "
        f"{MIN_PEOPLE + _MIN_OTHERS} users, {MIN_PEOPLE} of them with so many; "
        f"{found.too_few_days} wrote all of them on too few days, {found.too_few_different} wrote "
        f"fewer than {MIN_HISTORY + MIN_HELD_OUT} different ones",
        remedy="Evaluate on more users, or on longer histories.",
    )


def _sort_in(
    user: Profile,
    found: _Gathering,
    voice_kinds: Sequence[str],
    *,
    num_people: int,
    min_texts: int,
) -> None:
    """Find out whether a user is one of the people, one of the others, or neither."""
    is_full = len(found.people) >= num_people
    if is_full and len(found.others) >= _MAX_OTHERS:
        return
    written = written_by(user, voice_kinds, min_texts=min_texts)
    distinct = distinct_texts(written)
    if not is_full and len(written) >= min_texts:
        parts = split_by_time(distinct)
        if parts is not None:
            history, held_out = parts
            since = held_out[0].created_at
            found.people.append(
                Person(
                    profile=replace(user, interactions=history),
                    held_out=tuple(each.text for each in held_out),
                    held_out_since=since.date() if since else None,
                )
            )
            return
        if len(distinct) < MIN_HISTORY + MIN_HELD_OUT:
            found.too_few_different += 1
        else:
            found.too_few_days += 1
    if len(distinct) >= _MIN_OTHER_TEXTS and len(found.others) < _MAX_OTHERS:
        found.others.append(tuple(each.text for each in distinct))
