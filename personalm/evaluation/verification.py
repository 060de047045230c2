"""Verification of real texts: how well each scorer tells whose they are, by length.

No text is generated. It is what outputs could reach at best, and shows which lengths say anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from personalm.evaluation.calibration import cut_pools, mean_of
from personalm.evaluation.estimates import estimate
from personalm.evaluation.lengths import bucket_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from personalm.evaluation.calibration import Panel
    from personalm.evaluation.estimates import Estimate
    from personalm.evaluation.people import Person

LENGTHS = (15, 25, 50, 100, 300)
"""Words of the pools, one length a bucket."""

JUDGES = ("cosine_delta", "character_grams")
MIXES = {"selectors": ("embedding", "shape"), "judges": JUDGES}
"""Scorers that are also shown together, as the mean of their z."""

_POOLS_A_PERSON = 3
_MIN_PEOPLE = 4


def verify_authors(
    panel: Panel, people: Sequence[Person]
) -> dict[str, dict[str, dict[str, Estimate | None]]]:
    """Return AUC, attribution and z of real texts, by scorer and length bucket.

    The names are `auc`, `attribution_at_1`, `attribution_at_5`, `own_z` and `stranger_z`; a bucket
    that too few people can fill is not there.
    """
    found: dict[str, dict[str, dict[str, Estimate | None]]] = {}
    for length in LENGTHS:
        pools = [cut_pools(person.held_out, length, most=_POOLS_A_PERSON) for person in people]
        if sum(map(bool, pools)) < _MIN_PEOPLE:
            continue
        owners = np.array([place for place, own in enumerate(pools) for _ in own])
        flat = [pool for own in pools for pool in own]
        scores = add_mixes(panel.score(flat, [length] * len(flat)))
        for name, z in scores.items():
            figures = {
                "auc": columns_auc(z, owners),
                "attribution_at_1": hits(z, owners, 1),
                "attribution_at_5": hits(z, owners, 5),
                "own_z": by_person(z[np.arange(len(z)), owners], owners),
                "stranger_z": by_person(strangers_mean(z, owners), owners),
            }
            found.setdefault(name, {})[bucket_of(length)] = {
                figure: estimate(values) for figure, values in figures.items()
            }
    return found


def add_mixes(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the scores, and those of scorers together."""
    mixed = {
        name: mean_of([scores[part] for part in parts])
        for name, parts in MIXES.items()
        if all(part in scores for part in parts)
    }
    return {**scores, **mixed}


def columns_auc(z: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each owner how often a text of the owner's beats one of somebody else.

    The texts are compared as likenesses to the owner's history. *Shape:* `z` (texts, histories).
    """
    values = []
    for owner in np.unique(owners):
        column = z[:, owner]
        own, others = column[owners == owner], column[owners != owner]
        own, others = own[np.isfinite(own)], others[np.isfinite(others)]
        if not len(own) or not len(others):
            values.append(np.nan)
            continue
        is_own = np.repeat([True, False], [len(own), len(others)])
        values.append(float(roc_auc_score(is_own, np.concatenate([own, others]))))
    return np.array(values)


def hits(z: NDArray[np.float64], owners: NDArray[np.int64], top: int) -> NDArray[np.float64]:
    """Return for each owner how often the owner's history is among the `top` nearest to a text."""
    own = z[np.arange(len(z)), owners]
    ranks = 1 + (z > own[:, None]).sum(axis=1)
    return by_person(np.where(np.isfinite(own), ranks <= top, np.nan), owners)


def by_person(values: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of each owner's values, NaN where none of them counts."""
    return np.array([_mean(values[owners == owner]) for owner in np.unique(owners)])


def strangers_mean(z: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each text its mean z to the histories of all who did not write it."""
    others = z.copy()
    others[np.arange(len(z)), owners] = np.nan
    return np.array([_mean(row) for row in others])


def _mean(values: NDArray[np.float64]) -> float:
    found = values[np.isfinite(values)]
    return float(found.mean()) if len(found) else float("nan")
