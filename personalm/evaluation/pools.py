"""Pools: the texts of one hand under one condition, cut to one length with their rivals.

One chat message says nothing about style. A person's outputs are scored together, and are
compared with as many real texts: all pools of a person have the same number of words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.discreet import Discreet
from personalm.evaluation.conditions import Condition
from personalm.evaluation.lengths import count_words, round_down, take_pool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.evaluation.people import Person

MAX_REAL_POOLS = 3
_LEAST_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pools(Discreet):
    """The pools of one person, all of `length` words; a length of 0 is a person who abstains.

    `outputs` has a pool for each condition, `real` up to three that share no text.
    """

    length: int
    outputs: Mapping[Condition, tuple[str, ...]]
    real: tuple[tuple[str, ...], ...]


ABSTAINED = Pools(length=0, outputs={}, real=())


def build_pools(
    person: Person, outputs: Mapping[Condition, Sequence[str]], *, num_asked: int
) -> Pools:
    """Cut the outputs of every condition, and real texts of like length, to one length.

    A person abstains where a condition has less than three fifths of the texts that were asked
    for, or where too few words are left.
    """
    own = outputs[Condition.OWN]
    if any(len(texts) < _LEAST_SHARE * num_asked for texts in outputs.values()):
        return ABSTAINED
    matched = match_lengths(person.held_out, [count_words([text]) for text in own])
    if not matched:
        return ABSTAINED
    rivals = [*outputs.values(), matched[0]]
    length = round_down(min(count_words(texts) for texts in rivals))
    if not length:
        return ABSTAINED
    pools = {condition: take_pool(texts, length) for condition, texts in outputs.items()}
    real = [take_pool(texts, length) for texts in matched]
    return Pools(
        length=length,
        outputs={condition: pool for condition, pool in pools.items() if pool},
        real=tuple(pool for pool in real if pool),
    )


def match_lengths(texts: Sequence[str], lengths: Sequence[float]) -> list[tuple[str, ...]]:
    """Return pools of real texts, each with one text nearest to each length, none of them twice."""
    left = [(count_words([text]), place, text) for place, text in enumerate(texts)]
    pools: list[tuple[str, ...]] = []
    while len(pools) < MAX_REAL_POOLS and len(left) >= len(lengths):
        pool = []
        for wanted in sorted(lengths, reverse=True):
            nearest = min(left, key=lambda each: (abs(each[0] - wanted), each[1]))
            left.remove(nearest)
            pool.append(nearest)
        pools.append(tuple(text for _, _, text in sorted(pool, key=lambda each: each[1])))
    return pools
