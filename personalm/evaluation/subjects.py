"""Subjects of an evaluation: the same for everybody, so that none of them gives a user away.

A topic of the user's own would name its author to any judge, whoever's profile the prompt shows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from personalm.errors import SettingsError
from personalm.hashing import digest, subject_id_of
from personalm.planning.topics import choose_topic
from personalm.records import Request
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.kinds import Kind
    from personalm.records import Item


def find_topics(others: Sequence[Sequence[str]], number: int) -> tuple[str, ...]:
    """Return topics of people who are not compared, those first that most of them write about."""
    vocabularies = [{word for text in texts for word in split_words(text)} for texts in others]
    # One topic may be spelt in several ways, and is asked for in one of them.
    spelt: dict[tuple[str, ...], Counter[str]] = {}
    for texts in others:
        topic = choose_topic(texts) or ""
        words = split_words(topic)
        if words:
            spelt.setdefault(words, Counter())[topic] += 1
    writers = {words: sum(v.issuperset(words) for v in vocabularies) for words in spelt}
    ranked = sorted(writers, key=lambda words: (-writers[words], words))[:number]
    return tuple(_usual_form(spelt[words]) for words in ranked)


def _usual_form(forms: Counter[str]) -> str:
    return min(forms, key=lambda form: (-forms[form], form))


def find_wishes(
    kinds: Mapping[str, Kind],
    wanted: Sequence[str],
    *,
    items: Sequence[Item],
    others: Sequence[Sequence[str]],
    number: int,
) -> tuple[Request, ...]:
    """Return the requests, without a user, that everybody's texts are written for.

    Raises SettingsError for a kind whose subject each user has to bring, and where nothing is
    found to write about.
    """
    wishes: list[Request] = []
    for name in wanted:
        wishes += _wishes_of(kinds[name], items, others, number)
    return tuple(wishes)


def _wishes_of(
    kind: Kind, items: Sequence[Item], others: Sequence[Sequence[str]], number: int
) -> list[Request]:
    subject = kind.front.subject
    if subject == "given" or kind.front.needs:
        raise SettingsError(
            f"the kind {kind.name} answers something that each user brings: it cannot be written "
            "for the same subjects for everybody",
            remedy='Evaluate a kind whose subject is a topic or an item: kinds = ["post"].',
        )
    if subject == "item":
        chosen = sorted(items, key=lambda item: digest(item.item_id))[:number]
        wishes = [_wish(kind.name, item.item_id, item.title, item) for item in chosen]
    else:
        topics = find_topics(others, number)
        wishes = [_wish(kind.name, subject_id_of(topic, None), topic) for topic in topics]
    if not wishes:
        raise SettingsError(
            f"nothing was found that a {kind.name} could be about",
            remedy="Name items in the inputs, or evaluate another kind.",
        )
    return wishes


def _wish(kind: str, subject_id: str, subject: str, item: Item | None = None) -> Request:
    return Request(user_id="", kind=kind, subject_id=subject_id, subject=subject, item=item)
