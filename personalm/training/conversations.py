"""Conversations of a corpus: what stands before a text in its thread.

A run is told the turns of a thread by its request; here they are gathered from the histories.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.discreet import Discreet
from personalm.records import Interaction, Profile, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Before(Discreet):
    """The message that a text answers, who wrote it, and the turns before it."""

    message: str
    asking: Profile
    thread: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Conversations(Discreet):
    """The texts of each thread, oldest first, with the rows of their authors."""

    authors: Sequence[Profile]
    threads: Mapping[str, Sequence[tuple[int, Interaction]]]

    @classmethod
    def of(cls, authors: Sequence[Profile]) -> Conversations:
        """Gather the threads; texts without a time stand first."""
        threads: dict[str, list[tuple[int, Interaction]]] = defaultdict(list)
        for row, author in enumerate(authors):
            for each in author.interactions:
                if each.thread_id is not None and each.text.strip():
                    threads[each.thread_id].append((row, each))
        for turns in threads.values():
            turns.sort(key=lambda turn: turn[1].seconds)
        return cls(authors, dict(threads))

    def before(self, author: int, text: Interaction) -> Before | None:
        """Return what a text answers: the last earlier message of somebody else, if any."""
        turns = self.threads.get(text.thread_id or "", ())
        place = next((n for n, turn in enumerate(turns) if turn == (author, text)), 0)
        asked = next((n for n in reversed(range(place)) if turns[n][0] != author), None)
        if asked is None:
            return None
        row, message = turns[asked]
        return Before(
            message=message.text,
            # Nothing of theirs but the conversation is known to a reply.
            asking=Profile(user_id=self.authors[row].user_id, name=self.authors[row].name),
            thread=tuple(
                Turn(text=turn.text, own=writer != author, created_at=turn.created_at)
                for writer, turn in turns[:asked]
            ),
        )
