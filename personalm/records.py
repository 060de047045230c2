"""The records that walk from inputs to the store.

They are frozen and hold plain values only: a record knows no file, no template, no model and no
tensor. Times are aware and in UTC. Ids are canonical text (see `personalm.inputs.ids`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

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
class Task(Discreet):
    """A request with everything that decides its text: who asks, whose voice, which thread.

    `voice` is the profile whose writing is the style reference, the user's own by default.
    `fingerprint` is equal exactly when the text need not be written again.
    """

    request: Request
    profile: Profile
    voice: Profile
    thread: tuple[Turn, ...] = ()
    tier: str
    language: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Unit(Discreet):
    """A fixed list of tasks of one bucket, generated and journalled together."""

    unit_id: str
    bucket: int
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn for one prompt.

    `top_k = 0`, `top_p = 1.0` and `min_p = 0.0` switch their filters off; `temperature = 0` is
    greedy. `min_p` is a share of the likeliest token's probability.
    `repetition_penalty` (1.0: off) and `no_repeat_ngram` (0: off; n: no n tokens in a row twice)
    look at the new text alone: the words of the prompt are what it is to be about.
    """

    max_new_tokens: int
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 0.95
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Prompt(Discreet):
    """A rendered prompt that fits the model, ready to be continued.

    `draw` counts from 0; every further draw of a key has other noise. `batch` names the fixed
    batch plan: an engine may run prompts of one batch together and never mixes batches.
    `subject` is what the prompt shows of the request's, None where that is not told.
    `shown` are the texts of the history that the prompt shows, `num_trimmed` the history texts
    and `num_cut_tokens` the tokens of the subject that had to be left out. The first
    `num_head_tokens` are those of every prompt of the kind, and can be read once for all.
    """

    key: Key
    text: str
    token_ids: tuple[int, ...]
    sampling: Sampling
    num_candidates: int
    seed: int
    draw: int = 0
    batch: str = ""
    subject: str | None = None
    shown: tuple[str, ...] = ()
    num_trimmed: int = 0
    num_cut_tokens: int = 0
    num_head_tokens: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the prompt's text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


FinishReason: TypeAlias = Literal["stop", "end", "length", "error"]
"""Stop string met, end-of-text token drawn, out of room, or failed (see `Draw.error`)."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sample(Discreet):
    """One continuation as the engine drew it: the stop string and what follows it is cut off.

    `mean_logprob` is the mean natural logarithm of the probability that the model gave to each
    token, before any setting of sampling; `None` where the engine does not say.
    """

    text: str
    num_tokens: int
    finish: FinishReason
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Draw(Discreet):
    """All samples of one prompt, in the order of their candidate numbers.

    `error` is a reason in words when this one prompt could not be served; `samples` is then empty.
    """

    prompt: Prompt
    samples: tuple[Sample, ...]
    error: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a language model before it is loaded.

    `digest` covers every file that decides its texts. `languages` is `None` where neither the
    model nor the settings say what it writes.
    """

    name: str
    digest: str
    max_positions: int
    languages: tuple[str, ...] | None = None
    adapter: str | None = None


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
