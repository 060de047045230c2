"""The stage: people, subjects and judges of one evaluation, ready for whatever is written.

Everything that several figures need is made once: masks, panels, who stands in for whom.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING

from personalm.errors import EngineError
from personalm.evaluation.calibration import Panel
from personalm.evaluation.conditions import (
    Condition,
    pick_nearest,
    pick_random,
    plan_tasks,
    show_profile,
)
from personalm.evaluation.judges import CharacterGrams, CosineDelta
from personalm.evaluation.masking import Masker, find_signatures
from personalm.evaluation.outputs import Job
from personalm.evaluation.pools import build_pools
from personalm.evaluation.scorers import EmbeddingScorer, ShapeScorer
from personalm.evaluation.subjects import find_wishes
from personalm.evaluation.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from personalm.assembly import Assembly
    from personalm.evaluation.outputs import Output
    from personalm.evaluation.people import Company, Person
    from personalm.evaluation.pools import Pools
    from personalm.records import Profile, Rejection, Request

    ByCondition = Mapping[Condition, tuple[Output, ...]]

_MAX_HISTORY = 300


class Stage:
    """The people of an evaluation, and what compares them."""

    def __init__(self, assembly: Assembly, company: Company, *, num_subjects: int) -> None:
        self._assembly = assembly
        self._company = company
        self._num_subjects = num_subjects

    @property
    def people(self) -> tuple[Person, ...]:
        """Who is compared."""
        return self._company.people

    @cached_property
    def random(self) -> tuple[int, ...]:
        """The place of somebody else for each person."""
        return pick_random(self.people)

    @cached_property
    def nearest(self) -> tuple[int, ...]:
        """The place of the person whose history is most like each person's, by embeddings."""
        return pick_nearest(self._embedding.rows_of([person.history for person in self.people]))

    @cached_property
    def wishes(self) -> tuple[Request, ...]:
        """What is written for everybody."""
        return find_wishes(
            self._assembly.kinds,
            self._assembly.settings.kinds,
            items=self._assembly.catalogue.items,
            others=self._company.background + self._company.impostors,
            number=self._num_subjects,
        )

    @cached_property
    def profiles(self) -> tuple[Mapping[Condition, Profile], ...]:
        """The profile that each person's prompts show, by condition."""
        found = []
        for person, shown in zip(self.people, self.shown, strict=True):
            told = person.profile.language
            language = told or self._assembly.detect_language(person.history)
            found.append({c: show_profile(person, p, language=language) for c, p in shown.items()})
        return tuple(found)

    @cached_property
    def shown(self) -> tuple[Mapping[Condition, Person | None], ...]:
        """Whose profile each person's prompts show, by condition."""
        return tuple(
            {
                Condition.OWN: person,
                Condition.RANDOM: self.people[random],
                Condition.NEAREST: self.people[nearest],
                Condition.NONE: None,
            }
            for person, random, nearest in zip(self.people, self.random, self.nearest, strict=True)
        )

    @cached_property
    def masker(self) -> Masker:
        """What takes out of texts who wrote them."""
        names = [person.profile.name for person in self.people if person.profile.name]
        titles = [item.title for item in self._assembly.catalogue.items]
        return Masker.of(self._company.background, names=names, titles=titles)

    @cached_property
    def masked(self) -> Panel:
        """Scorers that see masked texts: their figures count."""
        signatures = frozenset().union(*(find_signatures(p.history) for p in self.people))
        # Cut to every length, a text comes by many times.
        mask = lru_cache(maxsize=1 << 17)(partial(self.masker.mask, signatures=signatures))
        return self._panel(mask)

    @cached_property
    def unmasked(self) -> Panel:
        """Scorers that see texts as they are."""
        return self._panel(str)

    def plan_jobs(
        self, assembly: Assembly, conditions: Sequence[Condition]
    ) -> dict[tuple[int, Condition], Job]:
        """Return what is to be written, by the place of the person and the condition.

        Raises EngineError where nothing can be.
        """
        jobs = {}
        refused: list[Rejection] = []
        for place, profiles in enumerate(self.profiles):
            for condition in conditions:
                profile = profiles[condition]
                shown = self.shown[place][condition] or self.people[place]
                requests = [replace(wish, user_id=profile.user_id) for wish in self.wishes]
                tasks, rejections = plan_tasks(assembly.planner, profile, requests)
                refused += rejections
                if tasks:
                    jobs[place, condition] = Job(
                        condition=condition, tasks=tasks, shown_id=shown.user_id
                    )
        if not jobs:
            raise EngineError(
                f"nothing can be written for any of {len(self.people)} users: "
                f"{refused[0].reason}, {refused[0].message}",
                remedy="Name another model, or compare real texts alone: --real-texts-only.",
            )
        return jobs

    def pool(
        self,
        outputs: Sequence[ByCondition],
        *,
        pick: Callable[[Output], str | None] = lambda output: output.text,
    ) -> tuple[Pools, ...]:
        """Return the pools of each person; `pick` says which text of an output counts."""
        return tuple(
            build_pools(
                person,
                {
                    condition: tuple(text for each in written if (text := pick(each)))
                    for condition, written in of_person.items()
                },
                num_asked=len(self.wishes),
            )
            for person, of_person in zip(self.people, outputs, strict=True)
        )

    def judge(self, panel: Panel, pools: Sequence[Pools]) -> Verdicts:
        """Return what the scorers of a panel say of everybody's pools."""
        return Verdicts.of(panel, pools, random=self.random, nearest=self.nearest)

    @cached_property
    def _embedding(self) -> EmbeddingScorer:
        return EmbeddingScorer(self._assembly.embedder.encode)

    def _panel(self, prepare: Callable[[str], str]) -> Panel:
        return Panel(
            [self._embedding, ShapeScorer(), CosineDelta(), CharacterGrams()],
            histories=[person.history[-_MAX_HISTORY:] for person in self.people],
            background=self._company.background,
            impostors=self._company.impostors,
            prepare=prepare,
        )
