"""Accounts of a run: what it looks at, what is live already, why a text is written, and counts.

They hold ids as digests and numbers, never a text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from personalm.discreet import Discreet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.records import Outcome


class Asked(Protocol):
    """A request, or the row that has become of one."""

    @property
    def request_id(self) -> str | None:
        """The id that the caller gave the request."""
        ...

    @property
    def is_derived(self) -> bool:
        """Whether nobody asked, and it follows from the kinds of the settings."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Label(Discreet):
    """What a row says of the request that it answers. It decides nothing about the text."""

    request_id: str | None = None
    is_derived: bool = False

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """Return the label of a request, or of the row that has become of one."""
        return cls(request_id=asked.request_id, is_derived=asked.is_derived)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """What a planner knows of a published result or rejection."""

    fingerprint: str
    is_rejection: bool = False
    label: Label = Label()


class Change(StrEnum):
    """Why a text is written: what is another than it was for the live row, if there is one."""

    NEW = "new"
    TEXT = "text changed"
    TEMPLATE = "template changed"
    MODEL = "model changed"
    SETTINGS = "settings changed"
    VERSION = "written by an older version"
    RETRY = "rejected before"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scope(Discreet):
    """What a run takes up of all that its inputs ask for.

    `users` are the digests of the only users to serve, `None` for all. `retries_rejected` takes up
    unchanged requests that were rejected, `prunes` withdraws live rows that no request asks for.
    `max_requests` is the number of texts to write; the rest is left for the next run. `is_partial`
    says that inputs are left out: what is refused for want of them takes no result away.
    """

    users: frozenset[str] | None = None
    retries_rejected: bool = False
    prunes: bool = False
    max_requests: int | None = None
    is_partial: bool = False


EVERYTHING = Scope()
"""All users, whatever has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """What a run has lost on its way: candidates, by gate, and requests, by reason.

    Those of resumed units are among them. A candidate that no gate dropped and that was not chosen
    is only drawn.
    """

    candidates: int = 0
    by_gate: Mapping[str, int] = field(default_factory=dict)
    by_reason: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Drops:
        """Count the candidates and the rejections of some outcomes."""
        found = [c.dropped_by for outcome in outcomes for c in outcome.candidates]
        reasons = (o.rejection.reason.value for o in outcomes if o.rejection is not None)
        return cls(
            candidates=len(found),
            by_gate=dict(Counter(filter(None, found))),
            by_reason=dict(Counter(reasons)),
        )

    def __add__(self, other: Drops) -> Drops:
        return Drops(
            candidates=self.candidates + other.candidates,
            by_gate=dict(Counter(self.by_gate) + Counter(other.by_gate)),
            by_reason=dict(Counter(self.by_reason) + Counter(other.by_reason)),
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """What there is to say of it, the most frequent first."""
        lines = []
        if self.by_reason:
            lines.append(f"rejected: {list_counts(self.by_reason)}")
        if self.candidates:
            dropped = list_counts(self.by_gate) or "none"
            lines.append(f"of {self.candidates} candidates were dropped: {dropped}")
        return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the requests of a run, and of the live rows beside them.

    requests = results + rejections + unchanged + opted_out. Of the results and rejections,
    `generated` went through the engine in this run and `resumed` were taken from the journal of
    an interrupted one; the others were rejected before anything was generated.

    `deferred` are requests that the run left for the next one. `withdrawn` are live rows that the
    run takes away without another in their place, `orphaned` those that stay although no request
    of this run asks for them.
    """

    requests: int = 0
    results: int = 0
    rejections: int = 0
    unchanged: int = 0
    opted_out: int = 0
    generated: int = 0
    resumed: int = 0
    deferred: int = 0
    withdrawn: int = 0
    orphaned: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether every request has exactly one outcome."""
        served = self.results + self.rejections + self.unchanged + self.opted_out
        return self.requests == served

    def __add__(self, other: Counts) -> Counts:
        names = [f.name for f in fields(Counts)]
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})


def list_counts(counts: Mapping[str, int]) -> str:
    """Return counts in words, the largest first: "echo 3, copy 1"."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{name} {number}" for name, number in ordered)
