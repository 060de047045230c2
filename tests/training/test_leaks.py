"""Laws of the leak report: what lies beside a model is about it, or nothing lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.errors import TrainingError
from personalm.settings import Training
from personalm.training.canaries import NOT_PLANTED, REPEATS, CanaryScore
from personalm.training.leaks import LEAKS, judge_leaks
from personalm.training.workplace import Workplace

if TYPE_CHECKING:
    from pathlib import Path


def scores(exposure: float) -> list[CanaryScore]:
    """Return a score of each level."""
    return [
        CanaryScore(num_repeats=level, exposure=exposure, is_extracted=False)
        for level in (NOT_PLANTED, *REPEATS)
    ]


@pytest.mark.parametrize("later", [scores(1.0), []], ids=["passes", "not measured"])
def test_the_report_of_a_refusal_goes_with_the_next_model_that_is_none(
    tmp_path: Path, later: list[CanaryScore]
) -> None:
    """Also where the next one has no secrets planted."""
    report = tmp_path / f"model.{LEAKS}"
    with Workplace.open(tmp_path / "model", replaces=False) as place:
        with pytest.raises(TrainingError, match="gives away"):
            judge_leaks(place, scores(1.0), scores(9.0), Training())
        assert report.is_file()

        judge_leaks(place, scores(1.0) if later else [], later, Training())

    assert not report.exists()
