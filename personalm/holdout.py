"""The split of a user's texts into what prompts may show and what outputs are compared with.

Near-duplicates go first, then the texts are cut by time: what is held out is newer, from other
days, and a thread lies on one side as a whole. Otherwise a prompt would show half of the answer.
An evaluation holds these texts out; a training that is to be evaluated spares them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from personalm.records import Interaction, Profile

MIN_TEXTS = 25
"""Of a user with fewer texts nothing is held out."""

MIN_HISTORY = 8
MIN_HELD_OUT = 5
"""A user with fewer texts on either side is not compared."""

_MAX_TEXTS = 600
_HELD_OUT_SHARE = 0.25
_SHINGLE_WORDS = 3
_TWIN = 0.5  # more of the shingles in common than this: the same text, told twice


def spare_held_out(user: Profile, voice_kinds: Sequence[str], *, min_texts: int) -> Profile:
    """Return the user as before the first day of what an evaluation of these kinds holds out.

    Threads that would tell of what is held out are gone, too.
    """
    written = written_by(user, voice_kinds, min_texts=min_texts)
    parts = split_by_time(distinct_texts(written)) if len(written) >= min_texts else None
    if parts is None:
        return user
    held_out = parts[1]
    cut = next(at for at, each in enumerate(user.interactions) if each is held_out[0])
    day = _day(held_out[0])
    threads = {each.thread_id for each in held_out if each.thread_id}
    return replace(
        user,
        interactions=tuple(
            each
            for each in user.interactions[:cut]
            if each.thread_id not in threads and (day is None or _day(each) != day)
        ),
    )


def written_by(
    user: Profile, voice_kinds: Sequence[str], *, min_texts: int
) -> tuple[Interaction, ...]:
    """Return what a user wrote of the kinds that show the style; all of it where that is little."""
    written = tuple(each for each in user.interactions if each.text.strip())
    of_kinds = tuple(each for each in written if each.kind in voice_kinds)
    return of_kinds if len(of_kinds) >= min_texts else written


def distinct_texts(written: Sequence[Interaction]) -> tuple[Interaction, ...]:
    """Return the newest of the texts, without near-duplicates."""
    return drop_twins(written[-_MAX_TEXTS:])


def drop_twins(written: Sequence[Interaction]) -> tuple[Interaction, ...]:
    """Return the texts without those that repeat an earlier one, exactly or nearly.

    Nearly means a Jaccard similarity of more than a half between the sets of three words in a
    row; case and punctuation do not count.
    """
    kept: list[Interaction] = []
    seen: set[tuple[str, ...]] = set()
    holders: dict[tuple[str, ...], list[int]] = {}
    sizes: list[int] = []
    for each in written:
        words = split_words(each.text)
        shingles = set(zip(*(words[i:] for i in range(_SHINGLE_WORDS)), strict=False))
        if not words or words in seen or _has_twin(shingles, holders, sizes):
            continue
        seen.add(words)
        for shingle in shingles:
            holders.setdefault(shingle, []).append(len(sizes))
        sizes.append(len(shingles))
        kept.append(each)
    return tuple(kept)


def _has_twin(
    shingles: set[tuple[str, ...]],
    holders: dict[tuple[str, ...], list[int]],
    sizes: Sequence[int],
) -> bool:
    common: dict[int, int] = {}
    for shingle in shingles:
        for holder in holders.get(shingle, ()):
            common[holder] = common.get(holder, 0) + 1
    return any(
        num / (len(shingles) + sizes[holder] - num) > _TWIN for holder, num in common.items()
    )


def split_by_time(
    written: Sequence[Interaction],
) -> tuple[tuple[Interaction, ...], tuple[Interaction, ...]] | None:
    """Return history and held-out texts, the oldest first; None where no day parts them well.

    About a quarter is held out. Older texts of a thread that goes on among those held out are in
    neither part.
    """
    best = None
    for cut in _cuts(written):
        parts = _part(written, cut)
        if len(parts[0]) < MIN_HISTORY or len(parts[1]) < MIN_HELD_OUT:
            continue
        # From the newest cut to the oldest one: more and more is held out.
        best = best or parts
        if len(parts[1]) >= _HELD_OUT_SHARE * len(written):
            return parts if len(parts[1]) <= len(parts[0]) else best
    return best


def _cuts(written: Sequence[Interaction]) -> list[int]:
    """Return the places where a new day begins, the last one first; texts without a time have none.

    Where no text has a time, their order is all there is: every place is one.
    """
    days = [_day(each) for each in written]
    if not any(days):
        return list(range(len(written) - 1, 0, -1))
    return [
        place
        for place, (before, day) in reversed(list(enumerate(pairwise(days), start=1)))
        if day is not None and before != day
    ]


def _day(each: Interaction) -> date | None:
    return each.created_at.date() if each.created_at else None


def _part(
    written: Sequence[Interaction], cut: int
) -> tuple[tuple[Interaction, ...], tuple[Interaction, ...]]:
    held_out = tuple(written[cut:])
    threads = {each.thread_id for each in held_out if each.thread_id}
    return tuple(each for each in written[:cut] if each.thread_id not in threads), held_out
