"""The leak index of an output folder: found, or made of the spilled inputs, and kept.

It is made by the first run that needs it, of all texts of its inputs, and used by every later one
until it is made anew on demand. Its edition goes into the fingerprints of the kinds whose gates ask
it. Who is forgotten is taken out of it; the edition stays. It is read piece by piece: one that lies
on object storage is copied to this machine first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.selection.leak_building import LeakIndexBuilder, take_out
from personalm.selection.leak_index import LeakIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from personalm.inputs.spill import Spill
    from personalm.records import Item
    from personalm.settings import Selection
    from personalm.store.artefacts import Artefact, Artefacts

__all__ = ["LEAKS", "Leaks", "find_leaks", "make_leaks", "take_out"]

LEAKS = "leaks"
"""Name of the index among the artefacts of a folder."""

_WORDS = "words"
_USERS = "users"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """The index of a folder, and the edition that fingerprints hold."""

    index: LeakIndex
    edition: str


def find_leaks(artefacts: Artefacts, selection: Selection) -> Leaks | None:
    """Return the index of a folder; `None` where there is none, or one of runs of another length.

    Raises StoreDamagedError where it cannot be read.
    """
    artefact = artefacts.latest(LEAKS)
    if artefact is None or artefact.about.get(_WORDS) != _num_words(selection):
        return None
    return _open(artefacts, artefact)


def make_leaks(
    spilled: Spill, artefacts: Artefacts, *, items: Iterable[Item], selection: Selection
) -> Leaks:
    """Make the index of a folder anew; what stands in the items is nobody's."""
    num_words = _num_words(selection)
    # In the spill's private folder, which goes with it.
    builder = LeakIndexBuilder(spilled.own_folder / LEAKS, num_words=num_words)
    for item in items:
        builder.add_common(_texts_of(item))
    for bucket in range(spilled.num_buckets):
        for user_id, texts in spilled.texts(bucket):
            builder.add(user_id, texts)
    about = {_WORDS: num_words, _USERS: builder.num_users}
    return _open(artefacts, artefacts.publish(LEAKS, builder.finish(), about=about))


def _open(artefacts: Artefacts, artefact: Artefact) -> Leaks:
    with artefacts.on_this_machine(artefact) as path:
        return Leaks(index=LeakIndex(path), edition=artefact.edition)


def _num_words(selection: Selection) -> int:
    return selection.max_leaked_words + 1


def _texts_of(item: Item) -> Iterator[str]:
    yield item.title
    yield item.description or ""
    for fact in item.facts.values():
        yield from fact if isinstance(fact, tuple) else (str(fact),)
