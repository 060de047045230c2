"""Acquaintance: whether a model has learned from the people it is judged by.

A model that `personalm finetune` made lists whom it has learned from, and up to which day; of any
other nothing is known here. One that has learned what is held out has seen the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.places import expand_home
from personalm.training.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from personalm.records import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """From how many of the people compared a model has learned, or may have in both figures.

    `held_out_too` are those of whose held-out texts it may have learned some.
    """

    people: int
    held_out_too: int

    @classmethod
    def of(cls, card: ModelCard, held_out_since: Mapping[str, date | None]) -> Acquaintance | None:
        """Ask the lists of a model and of all it was made of; None where there is none.

        `held_out_since` has the first day that is held out, by user. Raises ModelError for a list
        that cannot be read.
        """
        folders = map(expand_home, filter(None, (card.name, card.adapter)))
        rosters = [roster for roster in map(Roster.read, folders) if roster]
        if not rosters:
            return None
        return cls(
            people=sum(any(r.holds(user_id) for r in rosters) for user_id in held_out_since),
            held_out_too=sum(
                any(roster.may_know(user_id, since) for roster in rosters)
                for user_id, since in held_out_since.items()
            ),
        )
