"""Acquaintance: whether a model has learned from the people it is judged by.

A model that `personalm finetune` made lists whom it has learned from; of any other nothing is
known here. One that has learned the texts held out of an evaluation has seen the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.foreign import read_object
from personalm.generation.adapters import PROVENANCE
from personalm.training.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.records import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """How many of the people compared a model has learned from, and whether by the answers, too."""

    people: int
    held_out_too: bool

    @classmethod
    def of(cls, card: ModelCard, user_ids: Iterable[str]) -> Acquaintance | None:
        """Ask the papers of a model and of its base; None where neither has any.

        Raises ModelError for papers that cannot be read.
        """
        ids = set(user_ids)
        known: set[str] = set()
        has_papers = held_out_too = False
        for folder in map(Path, filter(None, (card.name, card.adapter))):
            roster = Roster.read(folder)
            if roster is None:
                continue
            has_papers = True
            found = {user_id for user_id in ids if roster.holds(user_id)}
            known |= found
            held_out_too |= bool(found) and not _spares_held_out(folder)
        return cls(people=len(known), held_out_too=held_out_too) if has_papers else None


def _spares_held_out(folder: Path) -> bool:
    settings = read_object(folder / PROVENANCE).get("settings")
    training = settings.get("training") if isinstance(settings, dict) else None
    return isinstance(training, dict) and training.get("spares_held_out") is True
