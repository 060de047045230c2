"""Gates about what was asked for: words and facts that must be there, language, length."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from personalm.languages import MIN_CHARS, identify_language, known_languages
from personalm.selection.claims import numbers_in
from personalm.selection.overlap import find
from personalm.selection.phrases import Phrases, phrases_of
from personalm.selection.words import count_words, is_unspaced, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.records import Fact, Item
    from personalm.selection.case import Case


class Required:
    """Refuse a text without each of the words or phrases that the settings or its kind require."""

    name = "required"

    def __init__(self, required_words: Sequence[str]) -> None:
        self._phrases = Phrases(required_words)

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether one of the required words is missing."""
        words = split_words(text)
        listed = (self._phrases, phrases_of(case.required_words))
        return not all(phrases.are_all_in(words) for phrases in listed)


class MissingFacts:
    """Refuse a text that leaves out a fact of its item that its kind requires.

    A fact that the item does not have is not asked for. Of a list one entry is enough, of a title
    or a name what stands before a colon or bracket, of a time the year or the day.
    """

    name = "missing_facts"

    _TITLE = "title"
    _MAIN = re.compile(r"(?<!\s)\s*+[:(\[–—].*\Z", re.DOTALL)

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether a required fact is not said."""
        if case.item is None:
            return False
        facts = [self._fact(case.item, name) for name in case.required_facts]
        return not all(fact is None or self._is_said(fact, text) for fact in facts)

    def _fact(self, item: Item, name: str) -> Fact | None:
        return item.title if name == self._TITLE else item.facts.get(name)

    def _is_said(self, fact: Fact, text: str) -> bool:
        if isinstance(fact, tuple):
            return not fact or any(self._is_said(each, text) for each in fact)
        if isinstance(fact, bool):
            return True
        if isinstance(fact, datetime):
            return not numbers_in(text).isdisjoint({str(fact.year), str(fact.day)})
        if isinstance(fact, int | float):
            return not numbers_in(str(fact)).isdisjoint(numbers_in(text))
        words = split_words(text)
        shapes = [split_words(fact), split_words(self._MAIN.sub("", fact))]
        return not shapes[0] or any(find(shape, words) >= 0 for shape in shapes)


class Language:
    """Refuse a text in another language than the user's.

    It abstains below sixty characters, thirty in scripts without spaces, where the language cannot
    be told, and where the user's is none that it knows. Languages that even readers take for each
    other count as one.
    """

    name = "language"

    _MIN_UNSPACED = 30
    _ALIKE = (
        frozenset({"da", "nb", "nn", "no"}),
        frozenset({"bs", "hr", "sl", "sr"}),
        frozenset({"id", "ms", "jv"}),
        frozenset({"cs", "sk"}),
        frozenset({"gl", "pt"}),
        frozenset({"af", "nl"}),
        frozenset({"be", "ru", "uk", "bg", "mk"}),
        frozenset({"hi", "mr", "ne"}),
    )

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text is clearly in another language."""
        min_chars = self._MIN_UNSPACED if is_unspaced(split_words(text)) else MIN_CHARS
        found = identify_language(" ".join(text.split()), min_chars=min_chars)
        if found is None or found == case.language or case.language not in known_languages():
            return False
        return not any({found, case.language} <= group for group in self._ALIKE)


class Length:
    """Refuse a text that is longer than its kind allows, or far from the length that was asked.

    Where the instructions name a number of words, half and one and a half of it are the bounds; a
    number that is said to be the most or the least is a bound itself. In scripts without spaces a
    word counts as two characters where the kind sets the limit; instructions count characters.
    """

    name = "length"

    _CHARACTERS_PER_WORD = 2
    _MOST = r"at most|up to|no more than|not more than|maximum(?: of)?|max\.?|under|less than|below"
    _MOST += r"|höchstens|maximal|bis zu|au plus|maximum de|como máximo|al massimo"
    _LEAST = r"at least|no less than|minimum(?: of)?|min\.?|more than|over"
    _LEAST += r"|mindestens|au moins|al menos|almeno"
    _ASKED = re.compile(
        rf"(?:\b(?P<most>{_MOST})\s+|\b(?P<least>{_LEAST})\s+)?(?<![\d.,])(?P<number>\d{{1,4}})[\s-]*"
        r"(?:(?:words?|wörter[n]?|worten|mots|palabras|parole|palavras|woorden)\b|文字|字(?!幕)|단어)"
        r"(?P<within>以内|以下|之内)?",
        re.IGNORECASE,
    )
    _LOW, _HIGH = 0.5, 1.5

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text is far too long, or too short."""
        num_words = count_words(text)
        scale = self._CHARACTERS_PER_WORD if is_unspaced(split_words(text)) else 1
        if case.max_words is not None and num_words > case.max_words * scale:
            return True
        asked = self._ASKED.search(case.instructions or "")
        if asked is None:
            return False
        number = int(asked["number"])
        if asked["most"] or asked["within"]:
            return num_words > number
        if asked["least"]:
            return num_words < number
        return not self._LOW * number <= num_words <= self._HIGH * number
