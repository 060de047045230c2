"""The records that walk from inputs to the store.

They are frozen and hold plain values only: a record knows no file, no template, no model and no
tensor. Times are aware and in UTC. Ids are canonical text (see `personalm.inputs.ids`).
"""

from __future__ import annotations

from personalm.records.inputs import (
    Fact,
    Interaction,
    Item,
    Key,
    Profile,
    Request,
    Turn,
    UserInputs,
)
from personalm.records.outcomes import Candidate, Outcome, Reason, Rejection, Result, Stage
from personalm.records.work import (
    Draw,
    FinishReason,
    ModelCard,
    Prompt,
    Sample,
    Sampling,
    Task,
    Unit,
)

__all__ = [
    "Candidate",
    "Draw",
    "Fact",
    "FinishReason",
    "Interaction",
    "Item",
    "Key",
    "ModelCard",
    "Outcome",
    "Profile",
    "Prompt",
    "Reason",
    "Rejection",
    "Request",
    "Result",
    "Sample",
    "Sampling",
    "Stage",
    "Task",
    "Turn",
    "Unit",
    "UserInputs",
]
