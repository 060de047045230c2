"""Conversations of a corpus: what stands before a text in its thread.

A run is told the turns of a thread by its request; here they are gathered from the histories.
Of people who are not learned from nothing is known but that they wrote: a text after theirs is not
taken for an answer to the message before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from personalm.discreet import Discreet
from personalm.records import Interaction, Profile, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

_Place: TypeAlias = "tuple[str, str, datetime | None]"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Before(Discreet):
    """The message that a text answers, who wrote it, and the turns before it."""

    message: str
    asking: Profile
    thread: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Conversations(Discreet):
    """The texts of each thread, oldest first, with the rows of their authors.

    A text of somebody without a row is a gap: it has a time and no words.
    """

    authors: Sequence[Profile] = ()
    threads: Mapping[str, Sequence[tuple[int | None, Interaction]]] = field(default_factory=dict)

    @classmethod
    def of(cls, authors: Sequence[Profile], gaps: Iterable[Interaction] = ()) -> Conversations:
        """Gather the threads; texts without a time stand first, gaps last of one time."""
        threads: dict[str, list[tuple[int | None, Interaction]]] = defaultdict(list)
        for row, author in enumerate(authors):
            for thread_id, each in _messages_of(author):
                threads[thread_id].append((row, each))
        for gap in gaps:
            # Of threads that nobody known has written in nothing is asked.
            if gap.thread_id in threads:
                threads[gap.thread_id].append((None, gap))
        for turns in threads.values():
            turns.sort(key=lambda turn: turn[1].seconds)
        return cls(authors, dict(threads))

    def before(self, author: int, text: Interaction) -> Before | None:
        """Return what a text answers: the last earlier message of somebody else, if it is known."""
        turns = self.threads.get(text.thread_id or "", ())
        place = next((n for n, turn in enumerate(turns) if turn == (author, text)), 0)
        asked = next((n for n in reversed(range(place)) if turns[n][0] != author), None)
        if asked is None:
            return None
        row, message = turns[asked]
        if row is None:
            return None
        # What stands before a gap is not what the message went on from.
        start = next((n + 1 for n in reversed(range(asked)) if turns[n][0] is None), 0)
        return Before(
            message=message.text,
            # Nothing of theirs but the conversation is known to a reply.
            asking=Profile(user_id=self.authors[row].user_id, name=self.authors[row].name),
            thread=tuple(
                Turn(text=turn.text, own=writer != author, created_at=turn.created_at)
                for writer, turn in turns[start:asked]
            ),
        )


class Attendance:
    """Who has written in which thread and when: all that is kept of people who are left out."""

    def __init__(self) -> None:
        self._places: Counter[_Place] = Counter()

    def watch(self, profiles: Iterable[Profile]) -> Iterator[Profile]:
        """Pass users on, and note where each has written."""
        for profile in profiles:
            self._places.update(_places_of(profile))
            yield profile

    def converse(self, authors: Sequence[Profile]) -> Conversations:
        """Return the conversations of the authors, with a gap for each text that is not theirs."""
        gaps = self._places - Counter(place for each in authors for place in _places_of(each))
        return Conversations.of(
            authors,
            (
                Interaction(thread_id=thread_id, created_at=created_at)
                for thread_id, _, created_at in gaps.elements()
            ),
        )


def _messages_of(profile: Profile) -> Iterator[tuple[str, Interaction]]:
    for each in profile.interactions:
        if each.thread_id is not None and each.text.strip():
            yield each.thread_id, each


def _places_of(profile: Profile) -> Iterator[_Place]:
    for thread_id, each in _messages_of(profile):
        yield thread_id, profile.user_id, each.created_at
