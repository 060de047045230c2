"""The choice among the candidates of a request: gates first, then likeness to the user's texts.

What is known of one request never touches the verdict on another, but for the time it takes: all
texts of a call are embedded together.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from personalm.accounts import list_counts
from personalm.discreet import Discreet
from personalm.errors import is_of_a_row
from personalm.hashing import user_digest
from personalm.records import Candidate
from personalm.selection.case import Case
from personalm.selection.gates import build_gates
from personalm.selection.styles import MAX_TEXTS
from personalm.selection.threads import one_blas_thread
from personalm.selection.trimming import trim_to_sentence
from personalm.selection.voices import Voice, Voices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from personalm.kinds import FrontMatter, Kind
    from personalm.records import Draw, Key, Profile, Sample, Task
    from personalm.selection.embedder import Embedder
    from personalm.selection.gates import Gate
    from personalm.selection.impostors import Impostors
    from personalm.selection.leak_index import LeakIndex
    from personalm.selection.styles import StyleReference
    from personalm.settings import Selection

DUPLICATE = "duplicate"
FAILED = "failed"
UNLIKELY = "unlikely"
"""What drops a candidate beside the gates: the text of another one, an error of the engine, or
others of the same request that the model finds likelier."""

_MAX_HISTORY_TEXTS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trial(Discreet):
    """A task with all its draws so far; candidates are numbered over all of them."""

    task: Task
    draws: tuple[Draw, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verdict(Discreet):
    """What became of each candidate of a task, and which one was chosen, if any passed.

    `error` is a reason in words when the candidates of this one task could not be judged.
    `own_mark` is the mean z of the own texts of the voice, `None` where it cannot be told.
    """

    key: Key
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    error: str | None = None
    own_mark: float | None = None

    @property
    def summary(self) -> str:
        """How many candidates each gate dropped, in words: "echo 3, copy 1"."""
        counts = Counter(c.dropped_by for c in self.candidates if c.dropped_by)
        return list_counts(counts) or "none dropped"


class Selector:
    """Judges candidates: drops those that a gate refuses, chooses the one most like its user."""

    def __init__(
        self,
        *,
        embedder: Embedder | Callable[[], Embedder],
        kinds: Mapping[str, Kind],
        selection: Selection,
        impostors: Impostors | None = None,
        embedder_name: str = "",
        leaks: LeakIndex | None = None,
    ) -> None:
        """Take the models and settings.

        Without impostors the style score abstains, without an index the gate of leaks.
        """
        self._kinds = kinds
        self._gates = {n: build_gates(k.front.gates, selection, leaks) for n, k in kinds.items()}
        self.voices = Voices(
            embedder=embedder,
            selection=selection,
            impostors=impostors,
            embedder_name=embedder_name,
        )

    def judge(self, trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        """Return a verdict for each trial, in order; the model is loaded when it is first needed.

        A text that cannot be embedded has no score, and a task whose candidates break a gate has
        a verdict with an error; nothing else is touched by them. Raises EngineError where the
        embedder fails for every text.
        """
        with one_blas_thread():
            return self._judge(trials)

    def _judge(self, trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        attempts = [self._attempt(trial) for trial in trials]
        gated = [() if isinstance(attempt, str) else attempt for attempt in attempts]
        voices = [self._voice_of(trial.task) for trial in trials]
        wanted = [
            voice
            for voice, candidates in zip(voices, gated, strict=True)
            if any(c.dropped_by is None for c in candidates)
        ]
        styles, rows = self.voices.learn(wanted, _passed_texts(gated))
        return tuple(
            Verdict(key=trial.task.request.key, candidates=(), chosen=None, error=attempt)
            if isinstance(attempt, str)
            else self._choose(trial, attempt, styles.get(voice.name), rows)
            for trial, attempt, voice in zip(trials, attempts, voices, strict=True)
        )

    def _attempt(self, trial: Trial) -> list[Candidate] | str:
        """Return the candidates of a trial, or why they cannot be judged."""
        try:
            return self._gate(trial)
        except Exception as error:
            if not is_of_a_row(error):
                raise
            return f"the gates failed: {type(error).__name__}"

    def _gate(self, trial: Trial) -> list[Candidate]:
        """Trim all candidates of a trial and ask the gates of its kind."""
        gates = self._gates[trial.task.request.kind]
        front = self._kinds[trial.task.request.kind].front
        history = _history(trial.task)
        candidates: list[Candidate] = []
        passed: set[str] = set()
        logprobs: dict[int, float] = {}
        for draw in trial.draws:
            case = _case(trial.task, draw, history, front)
            for sample in draw.samples:
                trimmed = trim_to_sentence(sample.text, finish=sample.finish)
                text = sample.text.strip() if trimmed is None else trimmed
                dropped_by = _refusal(text, sample, replace(case, finish=sample.finish), gates)
                if dropped_by is None and text in passed:
                    dropped_by = DUPLICATE
                elif dropped_by is None:
                    passed.add(text)
                    if sample.mean_logprob is not None:
                        logprobs[len(candidates)] = sample.mean_logprob
                candidates.append(
                    Candidate(
                        number=len(candidates),
                        text=text,
                        num_tokens=sample.num_tokens,
                        finish=sample.finish,
                        dropped_by=dropped_by,
                    )
                )
        unlikely = _find_unlikely(logprobs, front.likeliest_share)
        return [replace(c, dropped_by=UNLIKELY) if c.number in unlikely else c for c in candidates]

    def _voice_of(self, task: Task) -> Voice:
        """Return the newest texts that show the style: those of the kinds the template names."""
        kinds = self._kinds[task.request.kind].front.voice_kinds
        of_kind = [i.text for i in task.voice.interactions if i.kind in kinds and i.text.strip()]
        return Voice(
            owner=user_digest(task.voice.user_id),
            language=task.language,
            texts=tuple(of_kind or task.voice.texts)[-MAX_TEXTS:],
        )

    def _choose(
        self,
        trial: Trial,
        candidates: Sequence[Candidate],
        style: StyleReference | None,
        rows: Mapping[str, NDArray[np.float32]],
    ) -> Verdict:
        """Score what passed and choose; see `_rank`."""
        scored = []
        for candidate in candidates:
            cosine, z = None, None
            if candidate.dropped_by is None and style is not None:
                cosine, z = self.voices.score(style, candidate.text, rows.get(candidate.text))
            scored.append(replace(candidate, style_cosine=cosine, style_score=z))
        usual = style.median_length if style is not None else None
        passed = (c for c in scored if c.dropped_by is None)
        return Verdict(
            key=trial.task.request.key,
            candidates=tuple(scored),
            chosen=min(passed, key=lambda candidate: _rank(candidate, usual), default=None),
            own_mark=None if style is None else style.own_mark,
        )


def _history(task: Task) -> tuple[str, ...]:
    """Return the newest texts that must not be copied: the user's and the voice's."""
    texts = task.profile.texts[-_MAX_HISTORY_TEXTS:]
    if _is_same(task.voice, task.profile):
        return texts
    return task.voice.texts[-_MAX_HISTORY_TEXTS:] + texts


def _is_same(voice: Profile, profile: Profile) -> bool:
    return voice is profile or voice.user_id == profile.user_id


def _case(task: Task, draw: Draw, history: tuple[str, ...], front: FrontMatter) -> Case:
    shown = draw.prompt.subject
    return Case(
        writers=tuple(dict.fromkeys((task.profile.user_id, task.voice.user_id))),
        prompt=draw.prompt.text,
        shown=draw.prompt.shown,
        history=history,
        # What was cut off a long subject is nothing that the text can be about.
        subject=task.request.subject if shown is None else shown or None,
        item=task.request.item,
        instructions=task.request.instructions,
        thread=tuple(turn.text for turn in task.thread),
        language=task.language,
        min_words=front.min_words,
        max_words=front.max_words,
        min_shared_words=front.min_shared_words,
        required_words=front.required_words,
        banned_words=front.banned_words,
        quotes_source=front.quotes_source,
        required_facts=front.required_facts,
    )


def _refusal(text: str, sample: Sample, case: Case, gates: Sequence[Gate]) -> str | None:
    """Return the name of the first gate that refuses a text."""
    if sample.finish == "error":
        return FAILED
    return next((gate.name for gate in gates if gate.refuses(text, case)), None)


def _find_unlikely(logprobs: Mapping[int, float], share: float) -> frozenset[int]:
    """Return the candidates that the model found less likely than the share that may compete.

    A small model's unlikely texts are mostly nonsense. One candidate always stays.
    """
    ranked = sorted(logprobs, key=lambda number: (-logprobs[number], number))
    return frozenset(ranked[max(1, math.ceil(share * len(ranked))) :])


def _passed_texts(gated: Iterable[Sequence[Candidate]]) -> list[str]:
    return [c.text for candidates in gated for c in candidates if c.dropped_by is None]


def _rank(
    candidate: Candidate, usual_length: float | None
) -> tuple[bool, float, float, float, int]:
    """Order candidates, the best one lowest: by z, by cosine, by the usual length, by number.

    The z alone compares candidates of different lengths. Those without a score come after all
    others.
    """
    z, cosine = candidate.style_score, candidate.style_cosine
    distance = 0.0 if usual_length is None else abs(len(candidate.text) - usual_length)
    return (
        z is None,
        0.0 if z is None else -z,
        2.0 if cosine is None else -cosine,
        distance,
        candidate.number,
    )
