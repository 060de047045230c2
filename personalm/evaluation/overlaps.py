"""Overlaps: what a text has word for word from elsewhere.

A piece of the profile beats the user's real new text in every score of style, so copying is
measured beside style and never within it. Words are characters where a script has no spaces.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.selection.overlap import Runs, runs
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from personalm.evaluation.outputs import Output
    from personalm.records import Profile

SHARE_GRAM = 5
LEAK_GRAM = 8
_COMMON_WRITERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What a text shares with a history: the longest run, in words, and the share of 5-grams."""

    longest_run: int
    gram_share: float


class Overlaps:
    """Measures overlaps; the runs of the histories used last are kept."""

    def __init__(self) -> None:
        self._runs = Runs(num_kept=64)

    def measure(self, text: str, history: tuple[str, ...]) -> Overlap:
        """Return what a text shares with a history."""
        words = split_words(text)
        longest = 0
        while longest < len(words):
            grams = set(runs(words, longest + 1))
            if grams.isdisjoint(self._runs.of(history, longest + 1)):
                break
            longest += 1
        grams = set(runs(words, SHARE_GRAM))
        shared = grams & self._runs.of(history, SHARE_GRAM)
        return Overlap(longest_run=longest, gram_share=len(shared) / len(grams) if grams else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedRuns:
    """8-grams of outputs that somebody else wrote and the prompt did not hold."""

    num_grams: int
    num_outputs: int


def find_leaked_runs(
    outputs: Sequence[Output], users: Iterable[Profile], *, catalogue: Sequence[str] = ()
) -> LeakedRuns:
    """Look for words of other users in the outputs, all users of the tables taken.

    It is counted anew, and not by the index that the gate asks: what a gate misses is to be seen.
    What stands in the prompt, in an item, in the user's own texts, or is written by three users
    or more is no leak.
    """
    owners: dict[int, set[int]] = defaultdict(set)
    public = {gram for text in catalogue for gram in _grams(text)}
    for number, output in enumerate(outputs):
        known = public.union(_grams(output.prompt))
        for gram in set(_grams(output.text or "")) - known:
            owners[gram].add(number)
    writers: dict[int, set[str]] = defaultdict(set)
    for user in users if owners else ():
        for text in user.texts:
            for gram in _grams(text):
                if gram in owners:
                    writers[gram].add(user.user_id)
    leaked = [
        (gram, number)
        for gram, ids in writers.items()
        for number in owners[gram]
        if len(ids) < _COMMON_WRITERS and outputs[number].user_id not in ids
    ]
    return LeakedRuns(num_grams=len(leaked), num_outputs=len({number for _, number in leaked}))


def _grams(text: str) -> Iterable[int]:
    return runs(split_words(text), LEAK_GRAM)
