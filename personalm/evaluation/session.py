"""A session: one evaluation under way, from its people to its figures.

It draws with the planner, prompter, engine and selector of a run; what was drawn or computed in
its folder before is not drawn or computed again.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from personalm.accounts import Counts
from personalm.assembly import Assembly
from personalm.evaluation import contents
from personalm.evaluation.acquaintance import Acquaintance
from personalm.evaluation.conditions import Condition
from personalm.evaluation.estimates import Estimate, estimate
from personalm.evaluation.likelihoods import Likelihoods
from personalm.evaluation.memo import Memo
from personalm.evaluation.outputs import Output, OutputFolder, draw_outputs
from personalm.evaluation.overlaps import find_leaked_runs
from personalm.evaluation.plan import SLOTS, show_slots
from personalm.evaluation.verdicts import Verdicts, group_lift, summarise
from personalm.evaluation.verification import verify_authors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from personalm.evaluation.people import Company
    from personalm.evaluation.plan import Plan
    from personalm.evaluation.stage import Stage
    from personalm.progress import Progress
    from personalm.records import Profile

Metrics = dict[str, object]

_SCORER_OF_SPREAD = "character_grams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One evaluation under way."""

    assembly: Assembly
    stage: Stage
    company: Company
    plan: Plan
    progress: Progress
    folder: Path
    outputs: OutputFolder

    def measure_real_texts(self) -> Metrics:
        """Return what real texts alone tell: who is compared, and how well scorers work."""
        self.progress.note("scoring real texts")
        company, stage = self.company, self.stage
        masked = verify_authors(stage.masked, stage.people)
        by_tier = dict.fromkeys(("0", "1-4", "5-19", "20+"), 0) | company.by_tier
        scored: dict[str, int] = {}
        for person in stage.people:
            scored[person.tier] = scored.get(person.tier, 0) + 1
        return {
            "model": self.assembly.card.name,
            "users": len(stage.people),
            "plan": asdict(self.plan),
            "kept_words": stage.masker.num_kept,
            "strangers": len(company.impostors),
            "coverage": {
                "users_by_tier": by_tier,
                "compared_by_tier_of_history": scored,
                "too_few_days": company.too_few_days,
                "too_few_different": company.too_few_different,
            },
            "auc": _only(masked, "auc"),
            "verification": masked,
            "verification_unmasked": verify_authors(stage.unmasked, stage.people),
        }

    def measure_outputs(self, everybody: Iterable[Profile]) -> Metrics:
        """Return what the outputs of all conditions tell; a leak is looked for in everybody."""
        outputs = self._draw(self.assembly, tuple(Condition))
        self.progress.note("judging the texts")
        stage = self.stage
        pools = stage.pool(outputs)
        masked = stage.judge(stage.masked, pools)
        unmasked = stage.judge(stage.unmasked, pools)
        cases = [
            contents.Case(
                person=person,
                stranger=stage.people[other],
                pools=pool,
                outputs=of_person[Condition.OWN],
                language=shown[Condition.OWN].language or "",
            )
            for person, other, pool, of_person, shown in zip(
                stage.people, stage.random, pools, outputs, stage.profiles, strict=True
            )
        ]
        counted = summarise(masked)
        beside = summarise(unmasked)
        copies = contents.compare_copies(cases)
        leaks = find_leaked_runs(
            [output for case in cases for output in case.outputs],
            everybody,
            catalogue=[
                f"{item.title}\n{item.description or ''}" for item in self.assembly.catalogue.items
            ],
        )
        learned = Acquaintance.of(
            self.assembly.card, {p.user_id: p.held_out_since for p in stage.people}
        )
        return {
            "learned_from": asdict(learned) if learned else None,
            **counted,
            **{f"{name}_unmasked": figure for name, figure in beside.items()},
            "real_text_z": estimate(masked.real_z()),
            "n": sum(len(case.texts) for case in cases),
            "users_scored": int((masked.lengths > 0).sum()),
            "copy_rate": {name: copies[name] for name in ("outputs", "real_p95")},
            "copies": copies,
            "leaked_8grams": leaks.num_grams,
            "leaks": asdict(leaks),
            "by_group": group_lift(masked, stage.people),
            "reference_overlap": contents.compare_references(cases),
            "trait_distance": contents.compare_traits(cases),
            "between_user_spread": contents.compare_spread(cases, stage.masked, _SCORER_OF_SPREAD),
            "content_fidelity": contents.compare_contents(cases),
            "repetition": contents.compare_repetition(cases),
            "selection_gain": self._measure_gain(outputs, masked),
            "unwritten": _count_unwritten(outputs, len(stage.wishes)),
            **self._measure_likelihoods(cases),
        }

    def compare_slots(self) -> Metrics:
        """Return swap lift and ceiling of each way of showing history."""
        found: Metrics = {}
        settings = self.assembly.settings
        for name in SLOTS:
            self.progress.note(f"history shown: {name}")
            prompting = show_slots(settings.prompting, name)
            variant = Assembly(
                settings.model_copy(update={"prompting": prompting}),
                items=self.assembly.catalogue.items,
            )
            variant.pool, variant.leaks = self.assembly.pool, self.assembly.leaks
            outputs = self._draw(variant, (Condition.OWN, Condition.RANDOM))
            verdicts = self.stage.judge(self.stage.masked, self.stage.pool(outputs))
            found[name] = {
                "own_z": estimate(verdicts.own(Condition.OWN)),
                "swap_lift_random": estimate(verdicts.swap_lift(Condition.RANDOM)),
                "real_text_z": estimate(verdicts.real_z()),
            }
        return found

    def _draw(
        self, assembly: Assembly, conditions: Sequence[Condition]
    ) -> list[dict[Condition, tuple[Output, ...]]]:
        """Return the outputs of each person by condition; none where nothing was to be written."""
        jobs = self.stage.plan_jobs(assembly, conditions)
        done = sum(self.outputs.has(job) for job in jobs.values())
        self.progress.begin_writing([1])
        self.progress.enter_bucket(len(jobs), done=done, counts=Counts())
        drawn = draw_outputs(
            list(jobs.values()),
            self.outputs,
            write=assembly.write,
            on_unit=self.progress.finish_unit,
        )
        by_job = dict(zip(jobs, drawn, strict=True))
        return [
            {condition: by_job.get((place, condition), ()) for condition in conditions}
            for place in range(len(self.stage.people))
        ]

    def _measure_gain(
        self, outputs: Sequence[Mapping[Condition, tuple[Output, ...]]], chosen: Verdicts
    ) -> Metrics:
        """Return what choosing added, by the judges and by the selector's own kind of evidence.

        What is chosen is compared with the candidate that passed the gates first: one that
        nobody chose.
        """
        first = self.stage.judge(
            self.stage.masked,
            self.stage.pool(
                outputs, pick=lambda output: output.passed[0] if output.passed else None
            ),
        )
        return {
            name: {
                condition.value: estimate(chosen.own(condition, name) - first.own(condition, name))
                for condition in (Condition.OWN, Condition.RANDOM)
            }
            for name in ("judges", "embedding")
        }

    def _measure_likelihoods(self, cases: Sequence[contents.Case]) -> Metrics:
        wish = self.stage.wishes[0]
        memo = Memo(self.folder / "likelihoods")
        likelihoods = Likelihoods(self.assembly, memo, kind=wish.kind)
        if not likelihoods.are_known:
            return {"likelihood_lift": None, "fluency": None}
        self.progress.note("measuring likelihoods")
        nats = likelihoods.of_real_texts(
            self.stage.people,
            self.stage.profiles,
            wish=wish,
            num_texts=self.plan.num_likelihood_texts,
            on_person=_count_aloud(self.progress, len(self.stage.people)),
        )
        scored = [case.pools for case in cases if case.pools.length]
        written = likelihoods.of_bare_texts([pools.outputs[Condition.OWN] for pools in scored])
        real = likelihoods.of_bare_texts([pools.real[0] for pools in scored])
        own, none = nats[Condition.OWN], nats[Condition.NONE]
        return {
            "likelihood_lift": {
                "nats_a_token": {name.value: estimate(values) for name, values in nats.items()},
                "own": estimate(none - own),
                "random": estimate(none - nats[Condition.RANDOM]),
                "nearest": estimate(none - nats[Condition.NEAREST]),
                "own_minus_random": estimate(nats[Condition.RANDOM] - own),
                "own_minus_nearest": estimate(nats[Condition.NEAREST] - own),
            },
            "fluency": {"outputs": estimate(written), "real_texts": estimate(real)},
        }


def _only(
    verification: Mapping[str, Mapping[str, Mapping[str, Estimate | None]]], figure: str
) -> Metrics:
    return {
        name: {bucket: figures[figure] for bucket, figures in buckets.items()}
        for name, buckets in verification.items()
    }


def _count_unwritten(
    outputs: Sequence[Mapping[Condition, tuple[Output, ...]]], num_asked: int
) -> dict[str, int]:
    """Return how many of the texts that were asked for nobody got, by condition."""
    return {
        condition.value: sum(
            num_asked - sum(output.text is not None for output in of_person[condition])
            for of_person in outputs
        )
        for condition in Condition
    }


def _count_aloud(progress: Progress, num_people: int) -> Callable[[], None]:
    """Return what counts people, and says every tenth time how many there were."""
    count = itertools.count(1)

    def say() -> None:
        number = next(count)
        if number % 10 == 0 or number == num_people:
            progress.note(f"likelihoods of {number} of {num_people} users")

    return say
