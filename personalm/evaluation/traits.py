"""Traits: features of style that a person could count, each in its natural unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from personalm.selection.sentences import split_sentences
from personalm.selection.words import EMOJI, SMILEY, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TRAITS = (
    "words_a_text",
    "words_a_sentence",
    "letters_a_word",
    "share_of_capitals",
    "lower_case_starts",
    "commas",
    "exclamations",
    "questions",
    "ellipses",
    "dashes",
    "final_stops",
    "contractions",
    "emoji",
    "greetings",
    "first_person",
)
"""Names of the traits, in the order of `describe`."""

_CONTRACTION = re.compile(r"\w['’](?:t|s|m|re|ve|ll|d)\b", re.IGNORECASE)
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|dear|good (?:morning|evening)|greetings)\b", re.IGNORECASE
)
_SYMBOL = re.compile(f"{EMOJI}|{SMILEY}")
_FIRST_PERSON = frozenset({"i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine"})


def describe(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the traits of some texts of one hand.

    *Shape:* (number of traits,). Counts are a hundred words, or shares of texts, 0 to 1, where a
    text has the trait or not.
    """
    whole = "\n".join(texts)
    words = split_words(whole)
    num_texts, num_words = max(len(texts), 1), max(len(words), 1)
    num_sentences = max(sum(len(split_sentences(text)) for text in texts), 1)
    letters = [character for character in whole if character.isalpha()]
    per_hundred = 100.0 / num_words
    starts = [text.lstrip()[:1] for text in texts]
    return np.array(
        [
            len(words) / num_texts,
            len(words) / num_sentences,
            sum(map(len, words)) / num_words,
            sum(map(str.isupper, letters)) / max(len(letters), 1),
            sum(map(str.islower, starts)) / num_texts,
            sum(map(whole.count, ",，、")) * per_hundred,
            sum(map(whole.count, "!！")) * per_hundred,
            sum(map(whole.count, "?？")) * per_hundred,
            sum(map(whole.count, ("...", "…"))) * per_hundred,
            sum(map(whole.count, ("—", "–", " - ", "--"))) * per_hundred,
            sum(text.rstrip().endswith((".", "。")) for text in texts) / num_texts,
            len(_CONTRACTION.findall(whole)) * per_hundred,
            len(_SYMBOL.findall(whole)) * per_hundred,
            sum(_GREETING.match(text) is not None for text in texts) / num_texts,
            sum(word in _FIRST_PERSON for word in words) * per_hundred,
        ]
    )
