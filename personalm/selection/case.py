"""What a gate may look at beside the candidate itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.discreet import Discreet

if TYPE_CHECKING:
    from personalm.records import FinishReason, Item


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Case(Discreet):
    """One candidate's circumstances.

    `prompt` is the rendered prompt, `shown` the history texts in it, `history` all texts of the
    user and of the voice that a candidate must not copy, oldest first. `thread` holds the earlier
    turns of a conversation, `finish` says how the sample ended. `writers` are the ids of the user
    and the voice. The rest is what the kind asks for.
    """

    writers: tuple[str, ...] = ()
    prompt: str = ""
    shown: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    subject: str | None = None
    item: Item | None = None
    instructions: str | None = None
    thread: tuple[str, ...] = ()
    language: str = "en"
    min_words: int = 1
    max_words: int | None = None
    min_shared_words: int = 1
    required_words: tuple[str, ...] = ()
    banned_words: tuple[str, ...] = ()
    quotes_source: bool = False
    required_facts: tuple[str, ...] = ()
    finish: FinishReason = "end"

    @property
    def topic_texts(self) -> tuple[str, ...]:
        """What the text is to be about: subject, and title, description and facts of the item."""
        texts = [self.subject]
        if self.item is not None:
            texts += [self.item.title, self.item.description]
            for fact in self.item.facts.values():
                texts += fact if isinstance(fact, tuple) else [str(fact)]
        return tuple(text for text in texts if text)

    @property
    def told_texts(self) -> tuple[str, ...]:
        """What the text may state: topic, instructions and earlier turns, not the history."""
        wish = (self.instructions,) if self.instructions else ()
        return (*self.topic_texts, *wish, *self.thread)

    @property
    def given_texts(self) -> tuple[str, ...]:
        """All that the prompt has from its user and not from its template."""
        return (*self.shown, *self.told_texts)
