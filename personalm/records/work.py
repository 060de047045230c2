"""What is to be written, how, and what the engine drew."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from personalm.discreet import Discreet

if TYPE_CHECKING:
    from personalm.records.inputs import Key, Profile, Request, Turn

FinishReason: TypeAlias = Literal["stop", "end", "length", "error"]
"""Stop string met, end-of-text token drawn, out of room, or failed (see `Draw.error`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a language model before it is loaded.

    `digest` covers every file that decides its texts. `languages` is `None` where neither the
    model nor the settings say what it writes. An adapter writes the `learned_kinds`, and all
    others are written by the `base`; it writes all where it does not say what it has learned.
    """

    name: str
    digest: str
    max_positions: int
    languages: tuple[str, ...] | None = None
    adapter: str | None = None
    learned_kinds: tuple[str, ...] | None = None
    base: ModelCard | None = None

    def writer_of(self, kind: str) -> ModelCard:
        """Return the model that writes a kind: this one, or the base of this adapter."""
        if self.base is None or self.learned_kinds is None or kind in self.learned_kinds:
            return self
        return self.base


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
