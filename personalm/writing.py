"""From units of tasks to units of outcomes: prompt, generate, select, and draw again.

A `Writer` streams: it pulls units as the engine asks for prompts and gives a unit back when its
last key is decided. It knows the rooms by their protocols only; it knows no store and no inputs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from personalm.breaker import Breaker
from personalm.discreet import Discreet
from personalm.records import (
    Draw,
    Outcome,
    Prompt,
    Reason,
    Rejection,
    Result,
    Stage,
    Unit,
)
from personalm.selection.selector import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from personalm.generation.engine import Engine
    from personalm.prompting.prompter import Prompter
    from personalm.records import Key, ModelCard, Task
    from personalm.selection.selector import Selector, Verdict

_T = TypeVar("_T")

_UNFORESEEN = {Reason.PROMPTING_FAILED, Reason.GENERATION_FAILED, Reason.SCORING_FAILED}
"""Rejections that another library's fault could be behind."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WrittenUnit(Discreet):
    """A unit whose every task has its outcome, and the draws that led to each."""

    unit: Unit
    outcomes: tuple[Outcome, ...]
    draws: dict[Key, tuple[Draw, ...]]


@dataclass(slots=True, kw_only=True, repr=False)
class _OpenUnit(Discreet):
    """A unit on its way: what was drawn so far, what is decided, which draws are awaited."""

    unit: Unit
    draws: dict[Key, list[Draw]] = field(default_factory=dict)
    outcomes: dict[Key, Outcome] = field(default_factory=dict)
    awaited: set[Key] = field(default_factory=set)

    def take(self, draw: Draw) -> bool:
        """Note a draw; say whether it was the last awaited one."""
        self.awaited.remove(draw.prompt.key)
        self.draws.setdefault(draw.prompt.key, []).append(draw)
        return not self.awaited

    @property
    def undecided(self) -> tuple[Task, ...]:
        """Tasks that have no outcome yet."""
        return tuple(t for t in self.unit.tasks if t.request.key not in self.outcomes)

    def close(self) -> WrittenUnit:
        """Return the outcomes in the order of the tasks."""
        return WrittenUnit(
            unit=self.unit,
            outcomes=tuple(self.outcomes[task.request.key] for task in self.unit.tasks),
            draws={key: tuple(draws) for key, draws in self.draws.items()},
        )


class Writer:
    """Writes the texts of units; a request whose candidates are all dropped is drawn again."""

    def __init__(
        self,
        *,
        prompter: Prompter,
        engine: Engine,
        selector: Selector,
        card: ModelCard,
        max_draws: int,
    ) -> None:
        self._prompter = prompter
        self._engine = engine
        self._selector = selector
        self._card = card
        self._max_draws = max_draws
        self._breaker = Breaker()

    def write(self, units: Iterable[Unit]) -> Iterator[WrittenUnit]:
        """Yield every unit once, in the order in which they are finished.

        Raises EngineError where one user after the other fails.
        """
        # By batch and key: the same request may be in several units.
        open_units: dict[tuple[str, Key], _OpenUnit] = {}
        written: deque[WrittenUnit] = deque()
        again: deque[Prompt] = deque()

        def prompts() -> Iterator[Prompt]:
            for unit in units:
                opened, first = self._open(unit)
                if not first:
                    written.append(opened.close())
                open_units.update((_place(prompt), opened) for prompt in first)
                yield from first
                yield from _drain(again)

        feed: Iterator[Prompt] | None = prompts()
        while feed is not None:
            for draw in self._engine.generate(feed):
                opened = open_units.pop(_place(draw.prompt))
                if opened.take(draw):
                    redraws = self._settle(opened)
                    if not redraws:
                        written.append(opened.close())
                    open_units.update((_place(prompt), opened) for prompt in redraws)
                    again.extend(redraws)
                yield from _drain(written)
            yield from _drain(written)
            feed = _drain(again) if again else None

    def _open(self, unit: Unit) -> tuple[_OpenUnit, tuple[Prompt, ...]]:
        """Prompt every task of a unit; a task that cannot be prompted is decided at once."""
        opened = _OpenUnit(unit=unit)
        prompts = []
        for task in unit.tasks:
            prompt = self._prompter.prompt(task, batch=f"{unit.unit_id}/0")
            if isinstance(prompt, Rejection):
                opened.outcomes[task.request.key] = self._note(Outcome(rejection=prompt))
            else:
                prompts.append(prompt)
        opened.awaited.update(prompt.key for prompt in prompts)
        return opened, tuple(prompts)

    def _settle(self, opened: _OpenUnit) -> tuple[Prompt, ...]:
        """Judge the undecided tasks of a unit; return the prompts to draw again."""
        tasks = opened.undecided
        trials = [Trial(task=t, draws=tuple(opened.draws[t.request.key])) for t in tasks]
        redraws = []
        for trial, verdict in zip(trials, self._selector.judge(trials), strict=True):
            prompt = trial.draws[-1].prompt
            is_last = prompt.draw + 1 >= self._max_draws
            failed = (trial.draws[-1].error or verdict.error) is not None
            if verdict.chosen is None and not is_last and not failed:
                number = prompt.draw + 1
                batch = f"{opened.unit.unit_id}/{number}"
                redraws.append(replace(prompt, draw=number, batch=batch))
            else:
                outcome = self._decide(trial, verdict)
                opened.outcomes[trial.task.request.key] = self._note(outcome)
        opened.awaited.update(prompt.key for prompt in redraws)
        return tuple(redraws)

    def _note(self, outcome: Outcome) -> Outcome:
        """Tell the breaker what became of a task."""
        rejection = outcome.rejection
        if rejection is not None and rejection.reason in _UNFORESEEN:
            self._breaker.fail(rejection.key.user_id, rejection.message)
        elif rejection is None:
            self._breaker.succeed()
        return outcome

    def _decide(self, trial: Trial, verdict: Verdict) -> Outcome:
        if verdict.chosen is None:
            return Outcome(rejection=_reject(trial, verdict), candidates=verdict.candidates)
        task, prompt = trial.task, trial.draws[0].prompt
        card = self._card.writer_of(task.request.kind)
        result = Result(
            key=task.request.key,
            request_id=task.request.request_id,
            text=verdict.chosen.text,
            style_score=verdict.chosen.style_score,
            own_mark=verdict.own_mark,
            style_cosine=verdict.chosen.style_cosine,
            tier=task.tier,
            language=task.language,
            chosen=verdict.chosen.number,
            num_candidates=len(verdict.candidates),
            model=card.name,
            adapter=card.adapter,
            template=task.request.kind,
            prompt_hash=prompt.digest,
            num_trimmed=prompt.num_trimmed,
            fingerprint=task.fingerprint,
            seed=prompt.seed,
            is_derived=task.request.is_derived,
        )
        return Outcome(result=result, candidates=verdict.candidates)


def _reject(trial: Trial, verdict: Verdict) -> Rejection:
    error = trial.draws[-1].error
    if error is not None:
        stage, reason, message = Stage.GENERATION, Reason.GENERATION_FAILED, error
    elif verdict.error is not None:
        stage, reason, message = Stage.SELECTION, Reason.SCORING_FAILED, verdict.error
    else:
        stage, reason = Stage.SELECTION, Reason.ALL_CANDIDATES_DROPPED
        num_draws, num_candidates = len(trial.draws), len(verdict.candidates)
        message = f"{num_draws} draws, {num_candidates} candidates: {verdict.summary}"
    return Rejection(
        key=trial.task.request.key,
        request_id=trial.task.request.request_id,
        stage=stage,
        reason=reason,
        message=message,
        fingerprint=trial.task.fingerprint,
        is_derived=trial.task.request.is_derived,
    )


def _place(prompt: Prompt) -> tuple[str, Key]:
    return prompt.batch, prompt.key


def _drain(queue: deque[_T]) -> Iterator[_T]:
    while queue:
        yield queue.popleft()
