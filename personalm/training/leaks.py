"""The leak report: what a model gives away of planted secrets, and whether it may be published."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from personalm.errors import TrainingError
from personalm.training.canaries import NOT_PLANTED, REPEATS, summarise_canaries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from personalm.settings import Training
    from personalm.training.canaries import CanaryScore
    from personalm.training.workplace import Workplace

LEAKS = "leak_report.json"

_JUDGED = str(REPEATS[0])
"""Near-duplicates are removed, so texts of users are learned once, as these canaries are."""


def judge_leaks(
    place: Workplace,
    before: Sequence[CanaryScore],
    after: Sequence[CanaryScore],
    training: Training,
) -> dict[str, Any]:
    """Return the leak report; where it is over the limits it is all that is left behind.

    One of an earlier refusal goes where this one passes. Raises TrainingError where it does not.
    """
    report = report_leaks(before, after, training)
    path = place.output.with_name(f"{place.output.name}.{LEAKS}")
    if report["measured"] and not report["passed"]:
        place.files.replace(path, json.dumps(report, indent=1).encode())
    else:
        place.files.remove(path)
    refuse_leaks(report, path)
    return report


def report_leaks(
    before: Sequence[CanaryScore], after: Sequence[CanaryScore], training: Training
) -> dict[str, Any]:
    """Return the leak report; `before` is the model that has not learned the canaries."""
    figures = summarise_canaries(after)
    if not figures:
        return {"measured": False}
    return {
        "measured": True,
        "most_bits": math.log2(training.num_references + 1),
        "max_exposure": training.max_exposure,
        "max_extracted": training.max_extracted,
        "before": summarise_canaries(before),
        "after": figures,
        "passed": _passes(figures, training),
    }


def refuse_leaks(report: Mapping[str, Any], path: Path) -> None:
    """Raise TrainingError for a report over the limits; `path` is where it lies."""
    if not report["measured"] or report["passed"]:
        return
    once, control = report["after"][_JUDGED], report["after"][str(NOT_PLANTED)]
    raise TrainingError(
        f"the model gives away what it has learned: secrets planted once have "
        f"{once['exposure']:.1f} bits of exposure (limit {report['max_exposure']:.1f}; "
        f"{control['exposure']:.1f} for secrets it never saw), and {once['extracted']:.0%} of them "
        f"are completed (limit {report['max_extracted']:.0%}). Nothing is published; the report is "
        f"{path}",
        remedy="Learn less by heart: lower training.max_similarity (more near-duplicates go), "
        "fewer epochs or a lower learning_rate, a smaller lora_rank, more dropout, a lower "
        "max_user_texts. The limits are training.max_exposure and training.max_extracted.",
    )


def _passes(figures: Mapping[str, Mapping[str, float]], training: Training) -> bool:
    once = figures[_JUDGED]
    return once["exposure"] <= training.max_exposure and once["extracted"] <= training.max_extracted
