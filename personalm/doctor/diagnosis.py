"""The diagnosis: plain records of what was found, for people and for programs.

They hold names of files and columns, numbers and words of ours; nothing of any user.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from personalm.inputs.report import InputReport

if TYPE_CHECKING:
    from personalm.errors import PersonalmError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a run would be refused, where, and what to do."""

    error: str
    message: str
    file: str | None = None
    column: str | None = None
    row: int | None = None
    remedy: str | None = None

    @classmethod
    def of(cls, error: PersonalmError) -> Problem:
        """Return what an error says."""
        return cls(
            error=type(error).__name__,
            message=error.message,
            file=getattr(error, "file", None),
            column=getattr(error, "column", None),
            row=getattr(error, "row", None),
            remedy=error.remedy,
        )


@dataclass(slots=True, kw_only=True)
class Census:
    """Counts of people and of what is wanted for them, while users pass by.

    A profile with nothing but an id counts as none. Rejections are those of planning, by reason:
    what becomes of the rest only a run can say.
    """

    num_users: int = 0
    num_texts: int = 0
    num_opted_out: int = 0
    num_without_profile: int = 0
    num_without_history: int = 0
    tiers: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    is_planned: bool = False
    """Whether the requests were planned: without, all that follows is 0."""
    num_requests: int = 0
    num_to_write: int = 0
    num_refused_by_opt_out: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    num_for_unknown_kinds: int = 0
    """Requests of kinds without a template, which are not among `kinds`."""
    rejections: Counter[str] = field(default_factory=Counter)
    num_for_unknown_users: int = 0
    num_for_unknown_items: int = 0
    num_for_unknown_threads: int = 0
    num_for_unknown_voices: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {k: dict(v) if isinstance(v, Counter) else v for k, v in values.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the doctor found; `census` is None where the tables could not be read to their end."""

    problems: tuple[Problem, ...] = ()
    report: InputReport = field(default_factory=InputReport)
    census: Census | None = None

    @property
    def would_run(self) -> bool:
        """Whether a run would work; it may still reject requests."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "would_run": self.would_run,
            "problems": [asdict(problem) for problem in self.problems],
            "tables": dict(self.report.num_rows),
            "findings": self.report.to_json()["findings"],
            "census": self.census.to_json() if self.census else None,
        }
