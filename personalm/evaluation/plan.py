"""How large an evaluation is, and which ways of showing history it compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.evaluation.people import NUM_PEOPLE
from personalm.holdout import MIN_TEXTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.settings import Prompting


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an evaluation looks at.

    `num_subjects` texts are written for each person, condition and kind, and scored together.
    `num_likelihood_texts` real texts of each person are shown to the model.
    """

    num_people: int = NUM_PEOPLE
    min_texts: int = MIN_TEXTS
    num_subjects: int = 5
    num_likelihood_texts: int = 3
    real_texts_only: bool = False
    compares_slots: bool = False


QUICK = Plan(num_people=6, min_texts=12, num_subjects=3, num_likelihood_texts=1)
"""Two minutes on the sample data: enough to see that everything runs, too little to believe it."""

_SHOWN = 6
SLOTS: Mapping[str, Mapping[str, object]] = {
    "none": {"num_topic_texts": 0, "num_style_texts": 0},
    "recency": {"num_topic_texts": 0, "num_style_texts": _SHOWN, "style_texts": "recent"},
    "bm25": {"num_topic_texts": _SHOWN, "num_style_texts": 0},
    "diverse": {"num_topic_texts": 0, "num_style_texts": _SHOWN, "style_texts": "diverse"},
    "both": {"num_topic_texts": 2, "num_style_texts": 4, "style_texts": "diverse"},
}
"""Ways of showing history, six texts each: settings of `prompting`."""


def show_slots(prompting: Prompting, name: str) -> Prompting:
    """Return the settings that show history in one of these ways."""
    return prompting.model_copy(update=dict(SLOTS[name]))
