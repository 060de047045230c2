"""Verdicts: what the judges say of everybody's pools, and the figures that follow from it.

All figures are differences between conditions of one person, by one judge and at one length, so
that neither topic, length nor the way of choosing is taken for style.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from personalm.evaluation.conditions import Condition
from personalm.evaluation.estimates import Estimate, estimate, ratio
from personalm.evaluation.lengths import bucket_of
from personalm.evaluation.pools import MAX_REAL_POOLS
from personalm.evaluation.verification import add_mixes, columns_auc, hits
from personalm.selection.lengths import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from personalm.evaluation.calibration import Panel
    from personalm.evaluation.people import Person
    from personalm.evaluation.pools import Pools

    Scores: TypeAlias = Mapping[str, NDArray[np.float64]]
    """By scorer, the z of each person's pool to each person's history."""

JUDGE = "judges"

_ORDER = (*LENGTHS, "0", "1-4", "5-19", "20+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdicts:
    """Scores of the outputs of every condition, of real texts, and who stood in for whom.

    `real` has one set of scores for each set of real pools, the first with everybody who is
    scored at all.
    """

    outputs: Mapping[Condition, Scores]
    real: Sequence[Scores]
    random: NDArray[np.int64]
    nearest: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        panel: Panel,
        pools: Sequence[Pools],
        *,
        random: Sequence[int],
        nearest: Sequence[int],
    ) -> Verdicts:
        """Score all pools."""
        lengths = [pool.length for pool in pools]
        outputs = {
            condition: add_mixes(
                panel.score([pool.outputs.get(condition) for pool in pools], lengths)
            )
            for condition in Condition
        }
        real = [
            add_mixes(
                panel.score(
                    [pool.real[turn] if turn < len(pool.real) else None for pool in pools], lengths
                )
            )
            for turn in range(MAX_REAL_POOLS)
        ]
        return cls(
            outputs=outputs,
            real=real,
            random=np.array(random),
            nearest=np.array(nearest),
            lengths=np.array(lengths),
        )

    def own(self, condition: Condition, name: str = JUDGE) -> NDArray[np.float64]:
        """Return the z of each person's outputs to the person's own history."""
        return np.diagonal(self.outputs[condition][name])

    def real_z(self, name: str = JUDGE) -> NDArray[np.float64]:
        """Return the z of each person's real texts, the mean of the person's pools: the ceiling."""
        return _row_means(np.stack([np.diagonal(scores[name]) for scores in self.real], axis=1))

    def stranger_z(self, name: str = JUDGE) -> NDArray[np.float64]:
        """Return the z of another person's real texts to each person's history: the floor."""
        people = np.arange(len(self.random))
        found = [scores[name][self.random, people] for scores in self.real]
        return _row_means(np.stack(found, axis=1))

    def swap_lift(self, other: Condition, name: str = JUDGE) -> NDArray[np.float64]:
        """Return how much more an own profile sounds like the person than another condition."""
        return self.own(Condition.OWN, name) - self.own(other, name)


def summarise(verdicts: Verdicts) -> dict[str, object]:
    """Return the figures of metrics 1 to 6 for one way of preparing texts."""
    ceiling = verdicts.real_z()
    own = verdicts.own(Condition.OWN)
    people = np.arange(len(own))
    by_source = {
        **{condition.value: verdicts.own(condition) for condition in Condition},
        "stranger_text": verdicts.stranger_z(),
        "real_text": ceiling,
    }
    first_real = verdicts.real[0]
    matrices = {
        "outputs": verdicts.outputs[Condition.OWN],
        "no_profile": verdicts.outputs[Condition.NONE],
        "real_texts": first_real,
    }
    return {
        "style_z": {name: estimate(values) for name, values in by_source.items()},
        "gap_closed": ratio(own, ceiling),
        "swap_lift": {
            "random": estimate(verdicts.swap_lift(Condition.RANDOM)),
            "nearest": estimate(verdicts.swap_lift(Condition.NEAREST)),
        },
        "swap_lift_share": {
            "random": ratio(verdicts.swap_lift(Condition.RANDOM), ceiling),
            "nearest": ratio(verdicts.swap_lift(Condition.NEAREST), ceiling),
        },
        "none_lift": estimate(verdicts.swap_lift(Condition.NONE)),
        "swap_lift_by_scorer": {
            name: estimate(verdicts.swap_lift(Condition.RANDOM, name)) for name in first_real
        },
        "attribution_at_1": _attributions(matrices, people, 1),
        "attribution_at_5": _attributions(matrices, people, 5),
        "auc_outputs": {
            name: {
                source: estimate(columns_auc(scores[name], people))
                for source, scores in matrices.items()
            }
            for name in first_real
        },
    }


def group_lift(
    verdicts: Verdicts, people: Sequence[Person]
) -> dict[str, dict[str, dict[str, Estimate | None]]]:
    """Return swap lift and ceiling by length bucket, and by tier of the history."""
    labels = {
        "length": [bucket_of(length) if length else "" for length in verdicts.lengths],
        "tier": [person.tier for person in people],
    }
    figures = {
        "swap_lift_random": verdicts.swap_lift(Condition.RANDOM),
        "swap_lift_nearest": verdicts.swap_lift(Condition.NEAREST),
        "none_lift": verdicts.swap_lift(Condition.NONE),
        "stranger_text_z": verdicts.stranger_z(),
        "real_text_z": verdicts.real_z(),
    }
    return {
        group: {
            label: {
                name: estimate(values[np.array(named) == label]) for name, values in figures.items()
            }
            for label in sorted(set(named) - {""}, key=_ORDER.index)
        }
        for group, named in labels.items()
    }


def _attributions(
    matrices: Mapping[str, Scores], people: NDArray[np.int64], top: int
) -> dict[str, object]:
    """Return how often the right history is among the `top` nearest; chance is of all people."""
    found: dict[str, object] = {
        source: estimate(hits(scores[JUDGE], people, top)) for source, scores in matrices.items()
    }
    return {**found, "chance": round(min(1.0, top / len(people)), 4)}


def _row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each row, NaN left out; NaN where nothing is left."""
    known = np.isfinite(values)
    num = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(num > 0, total / np.maximum(num, 1), np.nan)
