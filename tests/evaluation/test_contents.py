"""Laws of what outputs say: each figure is of different people, subjects and traits that vary."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from personalm.evaluation.calibration import Panel
from personalm.evaluation.conditions import Condition
from personalm.evaluation.contents import Case, compare_contents, compare_spread, compare_traits
from personalm.evaluation.judges import CharacterGrams
from personalm.evaluation.outputs import Output
from personalm.evaluation.people import Person
from personalm.evaluation.pools import ABSTAINED, Pools
from personalm.records import Interaction, Profile
from tests.evaluation.world import make_profile

if TYPE_CHECKING:
    from collections.abc import Sequence

PEOPLE = [
    Person(profile=make_profile(number, num_texts=20), held_out=make_profile(number + 20).texts)
    for number in range(3)
]


def make_case(number: int, *outputs: tuple[str, str, str | None], pools: Pools = ABSTAINED) -> Case:
    """Return a case of one person, with outputs of a kind, a subject and a text."""
    person = PEOPLE[number]
    return Case(
        person=person,
        stranger=PEOPLE[number - 1],
        pools=pools,
        outputs=tuple(
            Output(
                user_id=person.user_id,
                condition=Condition.OWN,
                kind=kind,
                subject_id=subject,
                subject=subject,
                text=text,
                prompt="",
                passed=(),
            )
            for kind, subject, text in outputs
        ),
        language="en",
    )


def make_panel() -> Panel:
    """Return a panel that sees texts as they are."""
    texts: Sequence[Sequence[str]] = [person.history for person in PEOPLE]
    return Panel(
        [CharacterGrams()], histories=texts, background=texts, impostors=texts, prepare=str
    )


def test_nobody_is_compared_with_himself() -> None:
    """Two kinds may be about one subject; alike are texts of one kind by different people."""
    cases = [
        make_case(
            number,
            ("post", "river", PEOPLE[number].history[0]),
            ("tale", "river", PEOPLE[number].history[0]),
        )
        for number in range(3)
    ]
    of_posts = [make_case(n, ("post", "river", PEOPLE[n].history[0])) for n in range(3)]

    found = compare_spread(cases, make_panel(), "character_grams")

    assert found == compare_spread(of_posts, make_panel(), "character_grams")
    assert found["outputs"] is not None
    assert found["outputs"] < 0.9


def test_chance_is_of_another_subject_or_there_is_none() -> None:
    """The own subject's words are no chance."""
    both = make_case(0, ("post", "river", "A river."), ("post", "kettle", "The kettle."))
    turned = make_case(0, ("post", "river", "A kettle."), ("post", "kettle", "The kettle."))
    half = make_case(0, ("post", "river", "A river."), ("post", "kettle", None))
    same = make_case(0, ("post", "river", "A river."), ("tale", "river", "A river."))
    mixed = make_case(
        0, ("post", "river", "A river."), ("tale", "river", "A river."), ("tale", "kettle", "Ah.")
    )

    def chance(case: Case) -> float | None:
        found = compare_contents([case])["chance"]
        return None if found is None else found.mean

    assert chance(both) == chance(half) == chance(mixed) == 0.0
    assert chance(turned) == 0.5
    assert chance(same) is None
    assert compare_contents([same])["subject_words"] is not None


def test_traits_that_nobody_varies_in_are_no_distance() -> None:
    """Where everybody writes the same there is none, and rounding is taken for none."""
    texts = tuple(f"Rivers, number {n}, flow on." for n in range(9))
    person = Person(
        profile=Profile(user_id="me", interactions=tuple(Interaction(text=t) for t in texts)),
        held_out=texts,
    )
    pools = Pools(length=10, outputs={Condition.OWN: texts[:3]}, real=(texts[3:6],))
    case = Case(person=person, stranger=person, pools=pools, outputs=(), language="en")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare_traits([case] * 7)

    assert found == {"outputs": None, "real": None, "stranger": None, "by_trait": {}}


@pytest.mark.parametrize("num_repeats", [3, 7])
def test_traits_are_no_further_apart_for_more_of_the_same(num_repeats: int) -> None:
    """A mean over more texts that are alike is the same mean."""
    texts = ("Rivers, all of them, flow on.", "No!")
    people = [
        Person(
            profile=Profile(
                user_id=f"u{times}",
                interactions=tuple(Interaction(text=t) for t in texts * times),
            ),
            held_out=texts,
        )
        for times in (1, num_repeats)
    ]
    pools = Pools(length=10, outputs={Condition.OWN: texts}, real=(texts,))
    cases = [
        Case(person=person, stranger=person, pools=pools, outputs=(), language="en")
        for person in people
    ]

    assert compare_traits(cases)["by_trait"] == {}
