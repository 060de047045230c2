"""The examination: everything a run reads is read, and every request is planned.

No model is loaded and nothing is written but a temporary folder. What would stop a run is noted,
and the rest is looked at all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from personalm.assembly import Assembly
from personalm.doctor.census import count_people
from personalm.doctor.diagnosis import Diagnosis, Problem
from personalm.errors import ModelError, PersonalmError, faults_in_words
from personalm.inputs.items import load_items
from personalm.inputs.refusals import find_refusals
from personalm.inputs.report import InputReport, join_reports
from personalm.inputs.spill import spill
from personalm.intake import num_buckets_of
from personalm.kinds import load_kinds
from personalm.loaded import SCRIPTED
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.selection.embedder import ScriptedEmbedder, embedder_digest
from personalm.selection.selector import Selector
from personalm.settings import load_settings
from personalm.store.store import Store
from personalm.store.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from personalm.doctor.diagnosis import Census
    from personalm.progress import Progress
    from personalm.records import Item
    from personalm.settings import Settings

_T = TypeVar("_T")
_MAX_POSITIONS = 1 << 16


def examine(config: str | Path | None, *, progress: Progress, **overrides: object) -> Diagnosis:
    """Read the settings and all that they name, and say what a run would make of it."""
    examination = _Examination()
    settings = examination.attempt(lambda: load_settings(config, **overrides))
    if settings is None:
        return Diagnosis(problems=tuple(examination.problems))
    progress.begin_reading()
    with faults_in_words():
        return examination.look_at(settings, progress)


class _Examination:
    """One examination, and the problems it came across."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def attempt(self, act: Callable[[], _T]) -> _T | None:
        """Return what an act returns, None where it failed: that is a problem then."""
        try:
            return act()
        except PersonalmError as error:
            self._note(error)
            return None

    def look_at(self, settings: Settings, progress: Progress) -> Diagnosis:
        """Examine templates, models, output and inputs, in this order."""
        self.attempt(lambda: _try_templates(settings))
        self.attempt(lambda: Store.find(settings.output))
        plannable = self._stand_in(settings)
        report, census = self._look_at_inputs(settings, plannable, progress)
        return Diagnosis(problems=tuple(self.problems), report=report, census=census)

    def _note(self, error: PersonalmError) -> None:
        problem = Problem.of(error)
        if problem not in self.problems:
            self.problems.append(problem)

    def _stand_in(self, settings: Settings) -> Settings:
        """Return settings with which requests can be planned: fakes stand for missing models."""
        try:
            Assembly(settings)
        except ModelError as error:
            self._note(error)
            settings = settings.model_copy(update={"model": SCRIPTED})
        except PersonalmError:
            return settings  # templates, which are noted already
        embedder = settings.selection.embedder
        if embedder == SCRIPTED or self.attempt(lambda: embedder_digest(embedder)) is not None:
            return settings
        selection = settings.selection.model_copy(update={"embedder": SCRIPTED})
        return settings.model_copy(update={"selection": selection})

    def _look_at_inputs(
        self, settings: Settings, plannable: Settings, progress: Progress
    ) -> tuple[InputReport, Census | None]:
        inputs = settings.inputs
        catalogue = self.attempt(lambda: load_items(inputs))
        census: Census | None = None
        report = InputReport()
        try:
            with (
                temporary_folder() as folder,
                spill(
                    inputs,
                    folder / "spill",
                    num_buckets=num_buckets_of(settings),
                    on_rows=progress.read_rows,
                ) as spilled,
            ):
                report = spilled.report
                # Without a catalogue, plans would tell of items that nobody knows.
                assembly = self._assemble(plannable, catalogue[0]) if catalogue else None
                census = count_people(spilled, assembly, self._note)
        except PersonalmError as error:
            self._note(error)
        if census is None or catalogue is None:
            refusals, report = find_refusals(inputs)
            for refusal in refusals:
                self._note(refusal)
            return report, census
        return join_reports(report, catalogue[1]), census

    def _assemble(self, settings: Settings, items: Sequence[Item]) -> Assembly | None:
        try:
            assembly = Assembly(settings, items=items)
            _ = assembly.planner  # it is made here, and may refuse the kinds
        except PersonalmError as error:
            self._note(error)
            return None
        return assembly


def _try_templates(settings: Settings) -> None:
    """Compile every template and find every gate, as a run does once its models are loaded."""
    kinds = load_kinds(settings.templates_dir)
    Prompter(
        kinds=kinds,
        prompting=settings.prompting,
        generation=settings.generation,
        tokenizer=ByteTokenizer(),
        max_positions=_MAX_POSITIONS,
        seed=settings.seed,
    )
    Selector(embedder=ScriptedEmbedder(), kinds=kinds, selection=settings.selection)
