"""A made-up world around one output folder, and a plain dict that says what its readers must see.

Every thing that decides a text (the user's own texts, the template, the model, a setting) puts a
word of its own into the prompt, and the engine echoes its prompt. So it can be read off a text
what it was written from, and predicted without a line of the product.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from personalm.accounts import Counts
from personalm.generation.scripted import ScriptedEngine
from personalm.records import ModelCard, Reason, Sample
from tests.population import POST, Person

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from personalm.records import Key, Prompt

USERS = {
    "u-ada-8812": "markerada",
    "../../etc/bo-4471": "markerbo",
    "u-cy \u00e9 3305": "markercy",
    "=dee-1906": "markerdee",
}
"""Ids of users, and the word that stands in all that is of theirs."""

ASKS = (("post", "s1"), ("post", "s2"), ("note", "s1"), ("ode", "s1"))
"""Kind and subject id of what can be asked for; there is no template for an ode."""

KINDS = ("post", "note")

_WORD = re.compile(r"(?:marker|edition|template|model|seed|subject)[a-z0-9]+")

Place: TypeAlias = tuple[str, str, str]
"""User id, kind and subject id."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A live row as readers see it: the telling words of a text, or the reason of a rejection.

    `written_from` is what decided it; a row is written again when that is another. `request_id`
    is that of the request which it answers, and decides nothing.
    """

    words: frozenset[str] = frozenset()
    reason: str | None = None
    request_id: str | None = None
    written_from: object = field(default=None, compare=False)


View: TypeAlias = dict[Place, Row]


@dataclass(frozen=True, kw_only=True)
class World:
    """What a run reads, and what ails its engine: texts of the users named fail.

    Requests are numbered otherwise from time to time.
    """

    people: Mapping[str, Person] = field(default_factory=dict)
    templates: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    model: int = 0
    seed: int = 0
    numbering: int = 0
    ailing: frozenset[str] = frozenset()

    @property
    def sources(self) -> dict[str, str]:
        """Source of each template."""
        return {
            kind: POST.replace('"topic"', '"given"').replace("Topic:", f"Template{kind}{number}")
            for kind, number in self.templates.items()
        }

    @property
    def card(self) -> ModelCard:
        """The model, as it is known before it is loaded."""
        return ModelCard(name=f"model{self.model}", digest=f"{self.model}", max_positions=1 << 16)

    @property
    def asking(self) -> list[Person]:
        """The people, with the ids that their requests have now."""
        return [
            replace(each, asks=tuple({**ask, "request_id": self.id_of(ask)} for ask in each.asks))
            for each in self.people.values()
        ]

    def id_of(self, ask: Mapping[str, str]) -> str:
        """Return the id of a request: one that another had before, and another user has, too."""
        return f"r{ASKS.index((ask['kind'], ask['subject_id'])) + self.numbering}"

    def with_person(self, person: Person) -> World:
        """Return a world where somebody has come or changed."""
        return replace(self, people={**self.people, person.user_id: person})

    def without(self, user_id: str) -> World:
        """Return a world where somebody is in no table any more."""
        return replace(self, people={k: v for k, v in self.people.items() if k != user_id})


def person(user_id: str, edition: int, asks: Collection[tuple[str, str]]) -> Person:
    """Make up a user who has written something, and asks for something."""
    marker = USERS[user_id]
    return Person(
        user_id=user_id,
        name=marker,
        texts=(
            f"{marker} walked to the harbour in the rain of edition{edition}",
            f"the kettle of {marker} sings, and edition{edition} is on the table",
        ),
        asks=tuple(
            {"kind": kind, "subject_id": subject, "subject": f"subject{subject}"}
            for kind, subject in sorted(asks)
        ),
    )


class EchoEngine(ScriptedEngine):
    """Says what it was asked, and notes the keys of what it wrote."""

    def __init__(self, world: World) -> None:
        super().__init__(fail_on=lambda prompt: prompt.key.user_id in world.ailing)
        self.written: list[Key] = []
        self._model = world.card.name

    def _sample(self, prompt: Prompt, number: int) -> Sample:
        if number == 0:
            self.written.append(prompt.key)
        words = prompt.text.replace("\n", " ")
        text = f"{words} {self._model} seed{prompt.seed} try {number}."
        return Sample(text=text, num_tokens=len(text.split()), finish="end")


def telling_words(text: str) -> frozenset[str]:
    """Return the words of a text that say what it was written from."""
    return frozenset(_WORD.findall(text.lower()))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run is asked to do; `users` are the only ones to serve, `None` for all."""

    users: frozenset[str] | None = None
    retries: bool = False
    prunes: bool = False


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a run must make of the table: all live rows after it, and what it counts.

    `written` are the rows that go through the engine; of the counts, `generated` are these.
    """

    view: View
    written: View
    counts: Counts


def predict(world: World, live: View, asked: Asked) -> Prediction:
    """Say what a run must do, from the world and the live rows alone."""
    served = [
        each
        for each in world.people.values()
        if (asked.users is None or each.user_id in asked.users) and (each.asks or each.opt_out)
    ]
    refused = {each.user_id for each in served if each.opt_out}
    wanted = {
        (each.user_id, ask["kind"], ask["subject_id"]): _row(world, each, ask)
        for each in served
        for ask in each.asks
        if not each.opt_out
    }
    changed = {
        place: row
        for place, row in wanted.items()
        if place not in live
        or live[place].written_from != row.written_from
        or (asked.retries and live[place].reason is not None and row.reason != _UNPLANNED)
    }
    withdrawn = {place for place in live if place[0] in refused}
    orphaned = {
        place
        for place in live.keys() - wanted.keys() - withdrawn
        if asked.users is None or place[0] in {each.user_id for each in served}
    }
    if asked.prunes:
        withdrawn, orphaned = withdrawn | orphaned, set()
    told = {
        place: replace(live[place], request_id=row.request_id)
        for place, row in wanted.items()
        if place not in changed
    }
    written = {place: row for place, row in changed.items() if row.reason != _UNPLANNED}
    num_rejected = sum(row.reason is not None for row in changed.values())
    num_opted_out = sum(len(each.asks) for each in served if each.opt_out)
    return Prediction(
        view={p: row for p, row in {**live, **told, **changed}.items() if p not in withdrawn},
        written=written,
        counts=Counts(
            requests=len(wanted) + num_opted_out,
            results=len(changed) - num_rejected,
            rejections=num_rejected,
            unchanged=len(wanted) - len(changed),
            opted_out=num_opted_out,
            generated=len(written),
            withdrawn=len(withdrawn),
            orphaned=len(orphaned),
        ),
    )


_UNPLANNED = Reason.UNKNOWN_KIND.value


def _row(world: World, who: Person, ask: Mapping[str, str]) -> Row:
    kind = ask["kind"]
    written_from: object = (who.name, who.texts, world.templates.get(kind), world.model, world.seed)
    known: dict[str, Any] = {"request_id": world.id_of(ask), "written_from": written_from}
    if kind not in KINDS:
        return Row(reason=_UNPLANNED, **known)
    if who.user_id in world.ailing:
        return Row(reason=Reason.GENERATION_FAILED.value, **known)
    words: Iterable[str] = (
        *(word for text in (who.name or "", *who.texts) for word in telling_words(text)),
        f"template{kind}{world.templates[kind]}",
        ask["subject"],
        f"model{world.model}",
        f"seed{world.seed}",
    )
    return Row(words=frozenset(words), **known)
