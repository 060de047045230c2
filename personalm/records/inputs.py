"""What is asked for, and what is known of those who ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from personalm.discreet import Discreet

if TYPE_CHECKING:
    from collections.abc import Mapping

Fact: TypeAlias = str | int | float | bool | datetime | tuple[str, ...]
"""A value of an extra column, as templates see it; a missing value has no entry."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True, repr=False)
class Key(Discreet):
    """Name of one result: a user has at most one live row a kind and subject."""

    user_id: str
    kind: str
    subject_id: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Interaction(Discreet):
    """One thing a user did: a text written, an item rated, or both."""

    text: str = ""
    kind: str | None = None
    item_id: str | None = None
    rating: float | None = None
    created_at: datetime | None = None
    text_id: str | None = None
    thread_id: str | None = None

    @property
    def seconds(self) -> float:
        """Seconds since 1970, before all others where the time is unknown."""
        return self.created_at.timestamp() if self.created_at else float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Profile(Discreet):
    """What is known of one user.

    `interactions` are sorted by time, oldest first, those without a time at the start; ties by
    text id, then text.
    """

    user_id: str
    name: str | None = None
    language: str | None = None
    traits: tuple[str, ...] = ()
    opt_out: bool = False
    updated_at: datetime | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    interactions: tuple[Interaction, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The user's own writing, oldest first, without empty texts."""
        return tuple(i.text for i in self.interactions if i.text.strip())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Item(Discreet):
    """Something that can be recommended or written about."""

    item_id: str
    title: str
    description: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Turn(Discreet):
    """One message of a conversation.

    `own` says that it stands on the side of the user of the request: the user wrote it, or
    somebody else who writes interactions of the user's kind to people who write another kind.
    """

    text: str
    own: bool
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Request(Discreet):
    """One text that is wanted, as the requests table or the planner names it."""

    user_id: str
    kind: str
    subject_id: str
    subject: str | None = None
    item: Item | None = None
    instructions: str | None = None
    thread_id: str | None = None
    voice_id: str | None = None
    request_id: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    is_derived: bool = False
    """Made by the planner, where there is no requests table."""

    @property
    def key(self) -> Key:
        """Key of the result this request asks for."""
        return Key(user_id=self.user_id, kind=self.kind, subject_id=self.subject_id)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UserInputs(Discreet):
    """All that the input tables hold for one user's requests.

    `requests` are those of the requests table, none where there is no such table. `voices` holds
    the profiles their `voice_id`s name, `threads` the turns of their `thread_id`s, oldest first;
    what the tables do not hold is missing here.
    """

    profile: Profile
    requests: tuple[Request, ...] = ()
    voices: Mapping[str, Profile] = field(default_factory=dict)
    threads: Mapping[str, tuple[Turn, ...]] = field(default_factory=dict)
