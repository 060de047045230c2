"""Laws of who is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from personalm.errors import InputError
from personalm.evaluation.calibration import MIN_IMPOSTORS
from personalm.evaluation.people import choose_people
from personalm.hashing import user_digest
from tests.evaluation.world import make_profile

if TYPE_CHECKING:
    from personalm.evaluation.people import Company
    from personalm.records import Profile


def in_order(*profiles: Profile) -> list[Profile]:
    """Return people as the spilled inputs give them."""
    return sorted(profiles, key=lambda profile: user_digest(profile.user_id))


def test_the_first_by_hash_with_enough_texts_are_compared() -> None:
    """A user with too few texts is passed over; who comes later does not matter."""
    profiles = in_order(*(make_profile(n, num_texts=24 if n % 3 == 0 else 40) for n in range(90)))
    long = [p.user_id for p in profiles if len(p.texts) >= 25]

    chosen = choose_people(profiles, num_people=20)

    assert [person.user_id for person in chosen.people] == long[:20]
    assert chosen.by_tier == {"20+": 90}


def test_strangers_are_compared_nowhere_else() -> None:
    """Neither the people's texts nor those that teach the judges are strangers' texts."""
    chosen = choose_people(in_order(*(make_profile(n) for n in range(60))), num_people=20)
    compared = {text for p in chosen.people for text in (*p.history, *p.held_out)}
    taught = {text for texts in chosen.background for text in texts}
    strange = {text for texts in chosen.impostors for text in texts}

    assert len(chosen.background) == len(chosen.impostors) == 20
    assert compared.isdisjoint(strange)
    assert compared.isdisjoint(taught)
    assert taught.isdisjoint(strange)


def test_where_nobody_is_left_a_third_becomes_strangers() -> None:
    """The last by hash: the first are compared as before."""
    profiles = in_order(*(make_profile(n) for n in range(30)))

    chosen = choose_people(profiles, num_people=150)

    assert [p.user_id for p in chosen.people] == [p.user_id for p in profiles[:20]]
    assert len(chosen.background) + len(chosen.impostors) == 10


def test_who_has_opted_out_is_neither_compared_nor_a_stranger() -> None:
    """Nobody's texts are scored against the user's will."""
    profiles = in_order(*(make_profile(n, opt_out=n < 5) for n in range(40)))
    out = {text for p in profiles if p.opt_out for text in p.texts}

    chosen = choose_people(profiles, num_people=10)

    assert all(int(person.user_id[1:]) >= 5 for person in chosen.people)
    assert out.isdisjoint(t for texts in chosen.background + chosen.impostors for t in texts)


def test_prompts_never_see_what_is_held_out() -> None:
    """The profile of a person holds the history alone."""
    person = choose_people(in_order(*(make_profile(n) for n in range(30)))).people[0]

    assert set(person.history).isdisjoint(person.held_out)
    assert person.profile.texts == person.history
    assert person.held_out


def test_kinds_that_show_the_style_count_where_there_are_enough() -> None:
    """A user with few of them is compared by all texts."""
    many = make_profile(1)
    mixed = replace(
        many,
        interactions=tuple(
            replace(each, kind="post" if n >= 8 else "review")
            for n, each in enumerate(many.interactions)
        ),
    )
    others = [make_profile(n) for n in range(2, 40)]

    of_posts = choose_people(in_order(mixed, *others), voice_kinds=["post"], num_people=40)
    of_reviews = choose_people(in_order(mixed, *others), voice_kinds=["review"], num_people=40)

    def num_texts(chosen: Company) -> int:
        people = {p.user_id: p for p in chosen.people}
        person = people.get("u001")
        return 0 if person is None else len(person.history + person.held_out)

    assert num_texts(of_posts) in {0, 32}
    assert num_texts(of_reviews) in {0, 40}
    assert num_texts(of_posts) + num_texts(of_reviews) > 0


def test_too_few_users_are_refused_with_what_was_found() -> None:
    """The message has numbers and no ids."""
    short = [make_profile(n, num_texts=20) for n in range(30)]
    one_day = make_profile(31)
    crowded = replace(
        one_day,
        interactions=tuple(
            replace(each, created_at=one_day.interactions[0].created_at)
            for each in one_day.interactions
        ),
    )

    with pytest.raises(InputError, match=r"0 beside 31 others have 25 texts.*\n?.*1 wrote") as info:
        choose_people(in_order(*short, crowded))

    assert "u0" not in str(info.value)


def test_there_are_strangers_enough_or_nobody_is_compared() -> None:
    """However few the users, those who teach the judges and the strangers are enough."""
    for num_users in range(1, 34):
        users = in_order(*(make_profile(n, num_texts=26) for n in range(num_users)))
        if num_users < 14:
            with pytest.raises(InputError, match=rf"{num_users} beside 0 .* takes\s14 users"):
                choose_people(users)
            continue
        chosen = choose_people(users)

        assert len(chosen.people) >= 4
        assert min(len(chosen.background), len(chosen.impostors)) >= MIN_IMPOSTORS
        assert len(chosen.people + chosen.background + chosen.impostors) == num_users


def test_the_two_causes_of_having_nothing_to_hold_out_are_told_apart() -> None:
    """Too few days, or too few texts that are not alike."""
    crowded, alike = (
        [
            replace(
                profile,
                interactions=tuple(replace(each, **changed) for each in profile.interactions),
            )
            for profile in map(make_profile, numbers)
        ]
        for numbers, changed in (
            (range(40, 43), {"created_at": make_profile(0).interactions[0].created_at}),
            (range(50, 55), {"text": "the same old text every time"}),
        )
    )

    chosen = choose_people(in_order(*(make_profile(n) for n in range(20)), *crowded, *alike))

    assert (chosen.too_few_days, chosen.too_few_different) == (3, 5)
    with pytest.raises(InputError, match=r"3 wrote all .* 5 wrote\s+fewer than 13 different"):
        choose_people(in_order(*crowded, *alike))
