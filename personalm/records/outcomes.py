"""What became of each request: a text with its provenance, or a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personalm.discreet import Discreet

if TYPE_CHECKING:
    from personalm.records.inputs import Key
    from personalm.records.work import FinishReason


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Candidate(Discreet):
    """A sample as selection sees it: trimmed, gated and scored.

    `number` counts over all draws of a key. `dropped_by` is the gate that refused it.
    """

    number: int
    text: str
    num_tokens: int
    finish: FinishReason
    style_cosine: float | None = None
    style_score: float | None = None
    dropped_by: str | None = None


class Stage(StrEnum):
    """Where a request was rejected."""

    INPUTS = "inputs"
    PLANNING = "planning"
    PROMPTING = "prompting"
    GENERATION = "generation"
    SELECTION = "selection"


class Reason(StrEnum):
    """Why a request was rejected; the codes are part of the data contract."""

    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_VOICE = "unknown_voice"
    MISSING_INPUT = "missing_input"
    OPTED_OUT = "opted_out"
    NO_SUBJECT = "no_subject"
    LANGUAGE_NOT_SUPPORTED = "language_not_supported"
    PLANNING_FAILED = "planning_failed"
    RENDER_FAILED = "render_failed"
    PROMPTING_FAILED = "prompting_failed"
    NO_ROOM = "no_room"
    GENERATION_FAILED = "generation_failed"
    SCORING_FAILED = "scoring_failed"
    ALL_CANDIDATES_DROPPED = "all_candidates_dropped"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Result(Discreet):
    """One finished text with its provenance; the fields are the columns of `results`."""

    key: Key
    request_id: str | None
    text: str
    style_score: float | None
    own_mark: float | None
    style_cosine: float | None
    tier: str
    language: str
    chosen: int
    num_candidates: int
    model: str
    adapter: str | None
    template: str
    prompt_hash: str
    num_trimmed: int
    fingerprint: str
    seed: int
    is_derived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rejection(Discreet):
    """A request that got no text, and why; the message holds no personal text."""

    key: Key
    request_id: str | None
    stage: Stage
    reason: Reason
    message: str
    fingerprint: str
    is_derived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome(Discreet):
    """What became of one task: a result or a rejection, and every candidate drawn for it."""

    result: Result | None = None
    rejection: Rejection | None = None
    candidates: tuple[Candidate, ...] = ()

    def __post_init__(self) -> None:
        if (self.result is None) == (self.rejection is None):
            raise ValueError("an outcome is a result or a rejection, exactly one of them")

    @property
    def key(self) -> Key:
        """Key of the request."""
        return self._row.key

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the task."""
        return self._row.fingerprint

    @property
    def _row(self) -> Result | Rejection:
        row = self.result or self.rejection
        assert row is not None  # noqa: S101 - __post_init__ has seen to it
        return row
