"""Splits: each text on one side, a user's time cut in three, a conversation never cut.

Of every user the newest texts are the test, those before them the validation, the rest is learned.
A conversation that reaches over a cut keeps the texts of its newest side; the older ones are left
out, because their answers would tell what they say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.settings import Training
    from personalm.training.corpus import Corpus, Text

_LEAST_TEXTS = 4
"""A user with fewer texts is learned from, and not measured."""


class Side(StrEnum):
    """What a text is used for, in the order of time."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


_ORDER = tuple(Side)


def split_texts(
    corpus: Corpus, training: Training
) -> tuple[Mapping[Side, tuple[Text, ...]], Mapping[str, int]]:
    """Return the texts of each side, and how many were left out with their conversations."""
    by_author: dict[int, list[Text]] = defaultdict(list)
    for text in corpus.texts:
        by_author[text.author].append(text)
    placed = [
        (text, side)
        for texts in by_author.values()
        for text, side in zip(texts, _sides(len(texts), training), strict=True)
    ]
    newest: dict[str, int] = {}
    for text, side in placed:
        thread = corpus.interaction(text).thread_id
        if thread is not None:
            newest[thread] = max(newest.get(thread, 0), _ORDER.index(side))
    sides: dict[Side, list[Text]] = {side: [] for side in Side}
    counts: Counter[str] = Counter()
    for text, side in placed:
        thread = corpus.interaction(text).thread_id
        if thread is None or _ORDER[newest[thread]] is side:
            sides[side].append(text)
        else:
            counts["texts of conversations that reach over a cut"] += 1
    return {side: tuple(texts) for side, texts in sides.items()}, dict(counts)


def _sides(num_texts: int, training: Training) -> list[Side]:
    """Return the sides of a user's texts, oldest first."""
    if num_texts < _LEAST_TEXTS:
        return [Side.TRAIN] * num_texts
    num_test = max(1, round(num_texts * training.test_share))
    num_validation = max(1, round(num_texts * training.validation_share))
    num_train = num_texts - num_test - num_validation
    return [Side.TRAIN] * num_train + [Side.VALIDATION] * num_validation + [Side.TEST] * num_test
