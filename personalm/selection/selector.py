"""The choice among the candidates of a request: gates first, then likeness to the user's texts.

What is known of one request never touches the verdict on another, but for the time it takes: all
texts of a call are embedded together.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from personalm.discreet import Discreet
from personalm.errors import EngineError, is_of_a_row
from personalm.records import Candidate
from personalm.selection.case import Case
from personalm.selection.embedder import Embedder
from personalm.selection.gates import build_gates
from personalm.selection.styles import MAX_TEXTS, StyleCache, StyleReference, style_digest
from personalm.selection.trimming import trim_to_sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from personalm.kinds import FrontMatter, Kind
    from personalm.records import Draw, Key, Profile, Sample, Task
    from personalm.selection.gates import Gate
    from personalm.settings import Selection

DUPLICATE = "duplicate"
FAILED = "failed"
UNLIKELY = "unlikely"
"""What drops a candidate beside the gates: the text of another one, an error of the engine, or
others of the same request that the model finds likelier."""

_MAX_HISTORY_TEXTS = 5_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trial(Discreet):
    """A task with all its draws so far; candidates are numbered over all of them."""

    task: Task
    draws: tuple[Draw, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verdict(Discreet):
    """What became of each candidate of a task, and which one was chosen, if any passed.

    `error` is a reason in words when the candidates of this one task could not be judged.
    """

    key: Key
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    error: str | None = None

    @property
    def summary(self) -> str:
        """How many candidates each gate dropped, in words: "echo 3, copy 1"."""
        counts = Counter(c.dropped_by for c in self.candidates if c.dropped_by)
        ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        return ", ".join(f"{name} {number}" for name, number in ordered) or "none dropped"


class Selector:
    """Judges candidates: drops those that a gate refuses, chooses the one most like its user."""

    def __init__(
        self,
        *,
        embedder: Embedder | Callable[[], Embedder],
        kinds: Mapping[str, Kind],
        selection: Selection,
    ) -> None:
        self._embedder = embedder
        self._kinds = kinds
        self._min_style_texts = selection.min_style_texts
        self._gates = {n: build_gates(k.front.gates, selection) for n, k in kinds.items()}
        self._styles = StyleCache()

    def judge(self, trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        """Return a verdict for each trial, in order; the model is loaded when it is first needed.

        A text that cannot be embedded has no score, and a task whose candidates break a gate has
        a verdict with an error; nothing else is touched by them. Raises EngineError where the
        embedder fails for every text.
        """
        attempts = [self._attempt(trial) for trial in trials]
        gated = [() if isinstance(attempt, str) else attempt for attempt in attempts]
        voices = [self._voice_texts(trial.task) for trial in trials]
        names = [style_digest(texts) for texts in voices]
        known = {name: self._styles.get(name) for name in names}
        new = {
            name: texts
            for name, texts, candidates in zip(names, voices, gated, strict=True)
            if known[name] is None and any(c.dropped_by is None for c in candidates)
        }
        rows = self._embed(_passed_texts(gated), new.values())
        for name, texts in new.items():
            known[name] = StyleReference.of(
                texts, _stack(rows, texts), min_texts=self._min_style_texts
            )
        for name, reference in known.items():
            if reference is not None:
                self._styles.put(name, reference)
        return tuple(
            Verdict(key=trial.task.request.key, candidates=(), chosen=None, error=attempt)
            if isinstance(attempt, str)
            else _choose(trial, attempt, known[name], rows)
            for trial, attempt, name in zip(trials, attempts, names, strict=True)
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

    def _voice_texts(self, task: Task) -> tuple[str, ...]:
        """Return the newest texts that show the style: those of the kinds the template names."""
        kinds = self._kinds[task.request.kind].front.voice_kinds
        of_kind = [i.text for i in task.voice.interactions if i.kind in kinds and i.text.strip()]
        return tuple(of_kind or task.voice.texts)[-MAX_TEXTS:]

    def _embed(
        self, candidates: Iterable[str], references: Iterable[Sequence[str]]
    ) -> dict[str, NDArray[np.float32]]:
        """Embed every text once, all in one call; a text that makes it fail has no row."""
        wanted = dict.fromkeys(candidates)
        for texts in references:
            if len(texts) >= self._min_style_texts:
                wanted |= dict.fromkeys(texts)
        if not wanted:
            return {}
        # The order decides which texts share a batch; it must not follow from that of the trials.
        rows = dict(_encode(self._open(), sorted(wanted)))
        if not rows:
            _probe(self._open())
        if len(rows) < len(wanted):
            _log.warning("%d texts could not be embedded", len(wanted) - len(rows))
        return rows

    def _open(self) -> Embedder:
        """Return the embedder, making it first where a way to make it was given."""
        given = self._embedder
        # A class of embedders has an `encode` too.
        if isinstance(given, type) or not isinstance(given, Embedder):
            given = self._embedder = given()
        return given


def _encode(embedder: Embedder, texts: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the row of each text; where a call fails, its halves are tried, down to one text."""
    try:
        rows = embedder.encode(texts)
    except Exception as error:
        if not is_of_a_row(error):
            raise
        _log.debug("embedding of %d texts failed: %s", len(texts), type(error).__name__)
        if len(texts) > 1:
            middle = len(texts) // 2
            yield from _encode(embedder, texts[:middle])
            yield from _encode(embedder, texts[middle:])
        return
    yield from zip(texts, rows, strict=True)


def _probe(embedder: Embedder) -> None:
    """Tell an embedder that fails for everything from texts that nobody can embed."""
    try:
        embedder.encode(["a few plain words"])
    except Exception as error:
        if not is_of_a_row(error):
            raise
        raise EngineError(
            f"the embedder cannot embed anything any more: {type(error).__name__}",
            remedy="Start the run again; check the model: selection.embedder in the settings.",
        ) from None


def _stack(rows: Mapping[str, NDArray[np.float32]], texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the rows of the texts that have one. *Shape:* (texts found, dimensions)."""
    found = [rows[text] for text in texts if text in rows]
    return np.stack(found) if found else np.zeros((0, 1), dtype=np.float32)


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
        min_shared_words=front.min_shared_words,
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


def _choose(
    trial: Trial,
    candidates: Sequence[Candidate],
    reference: StyleReference | None,
    rows: Mapping[str, NDArray[np.float32]],
) -> Verdict:
    """Score what passed and choose: the highest cosine, the usual length, the lowest number."""
    scored = []
    for candidate in candidates:
        row = rows.get(candidate.text) if candidate.dropped_by is None else None
        cosine = None if row is None or reference is None else reference.style_cosine(row)
        scored.append(replace(candidate, style_cosine=cosine))
    usual = reference.median_length if reference is not None else None
    passed = (c for c in scored if c.dropped_by is None)
    return Verdict(
        key=trial.task.request.key,
        candidates=tuple(scored),
        chosen=min(passed, key=lambda candidate: _rank(candidate, usual), default=None),
    )


def _rank(candidate: Candidate, usual_length: float | None) -> tuple[float, float, int]:
    """Order candidates, the best one lowest; those without a score come after all others."""
    cosine = -2.0 if candidate.style_cosine is None else candidate.style_cosine
    distance = 0.0 if usual_length is None else abs(len(candidate.text) - usual_length)
    return (-cosine, distance, candidate.number)
