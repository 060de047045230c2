"""Gates: reasons for which a candidate may not be chosen, each an object that knows one.

A kind names its gates in its front matter. They are asked in that order, and the first that
refuses is kept with the candidate. A gate looks at one text and its `Case`; `leak` alone knows of
other users, by hashes of what they wrote.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Protocol

from personalm.errors import TemplateError
from personalm.selection.amounts import ANY, amount_of, is_told, prices_in
from personalm.selection.claims import known_words, names_in, numbers_in
from personalm.selection.commons import COMMON_WORDS
from personalm.selection.copy_gate import Copy
from personalm.selection.dates import days_in
from personalm.selection.form_gates import Language, Length, MissingFacts, Required
from personalm.selection.overlap import Runs, find, run_length, runs
from personalm.selection.repetition import is_loop
from personalm.selection.safety_gates import Banned, Leak, PersonalData
from personalm.selection.sentences import SMILEY_AT_END
from personalm.selection.stems import content_stems
from personalm.selection.trimming import trim_to_sentence
from personalm.selection.words import count_words, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personalm.selection.case import Case
    from personalm.selection.leak_index import LeakIndex
    from personalm.settings import Selection


# A shorter source, a bare title for example, leaves a text no words to be made of.
_MIN_SOURCE_WORDS = 8
# One word or two may be chance.
_MIN_TAKEN_WORDS = 3


class Gate(Protocol):
    """One reason to refuse a candidate."""

    @property
    def name(self) -> str:
        """Name by which a template asks for the gate and a candidate says who dropped it."""

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text may not be chosen."""


class Empty:
    """Refuse a text without words, or with fewer words and emoji than its kind asks for."""

    name = "empty"

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether there is too little to read."""
        return count_words(text) < max(case.min_words, 1)


class Unfinished:
    """Refuse a text that breaks off: within its first sentence, or where more must follow."""

    name = "unfinished"

    _DANGLING = frozenset(split_words("a an the and or nor but because although my our their"))
    _ENDS = (",", "，", "、", ":", "：", "(", "[", "{", "（", "「", "『", "“", "„", "«")
    _LAST_WORD = re.compile(r"(?<![\w'])[\w']++\Z")

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the end is missing."""
        text = text.rstrip()
        if trim_to_sentence(text, finish=case.finish) is None:
            return True
        if SMILEY_AT_END.search(text):
            return False
        if text.endswith(self._ENDS) or self._opens_quote(text):
            return True
        word = self._LAST_WORD.search(text)
        return word is not None and word.group() in self._DANGLING

    @staticmethod
    def _opens_quote(text: str) -> bool:
        mark = text[-1]
        return mark in "\"'" and text[-2:-1].isspace() and text.count(mark) % 2 == 1


class Echo:
    """Refuse a text that repeats the template's wording or cues, or merely names its subject."""

    name = "echo"

    _CUE = re.compile(r"^[ \t>#*-]*([^\W\d_][\w'’]*(?: [\w'’]+){0,3})[ \t]*:", re.MULTILINE)

    def __init__(self, max_echoed_words: int) -> None:
        self._limit = max_echoed_words
        self._runs = Runs()

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text is the prompt's and not the user's."""
        words = split_words(text)
        return (
            self._repeats_wording(words, case)
            or self._takes_over_examples(text, case)
            or self._repeats_cue(text, case)
            or any(_is_just(words, split_words(given)) for given in case.told_texts)
        )

    def _repeats_wording(self, words: tuple[str, ...], case: Case) -> bool:
        length = run_length(words, self._limit)
        if not self._runs.share((case.prompt,), words, length):
            return False
        prompt = self._runs.of((case.prompt,), length)
        given = self._runs.of(case.given_texts, length)
        return any(run in prompt and run not in given for run in runs(words, length))

    @staticmethod
    def _takes_over_examples(text: str, case: Case) -> bool:
        """Tell whether the text speaks of what only the template's own examples speak of."""
        wording = content_stems((case.prompt,), case.language)
        given = content_stems((*case.given_texts, COMMON_WORDS), case.language)
        taken = wording & (content_stems((text,), case.language) - given)
        if len(taken) < _MIN_TAKEN_WORDS:
            return False
        own = content_stems(case.history, case.language)
        return len(taken - own) >= _MIN_TAKEN_WORDS

    def _repeats_cue(self, text: str, case: Case) -> bool:
        found = set(self._CUE.findall(text))
        if not found:
            return False
        wording = case.prompt
        for given in sorted(case.given_texts, key=len, reverse=True):
            wording = wording.replace(given, "")
        cues = {cue.casefold() for cue in self._CUE.findall(wording)}
        return any(cue.casefold() in cues for cue in found)


class Loop:
    """Refuse a text that repeats its words, sentences or characters over and over."""

    name = "loop"

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text goes round in circles."""
        del case
        return is_loop(text)


class OffSubject:
    """Refuse a text that has too few words of meaning in common with what it is to say."""

    name = "off_subject"

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the subject hardly comes up; a subject without such words passes all."""
        asked = (case.instructions,) if case.instructions else case.topic_texts
        subject = content_stems(asked, case.language)
        num_shared = len(subject & content_stems((text,), case.language))
        # Of a bare title or a topic of two words, half or two are all that can be asked for.
        most = min(len(subject), max(2, math.ceil(len(subject) / 2)))
        return num_shared < min(case.min_shared_words, most)


class Facts:
    """Refuse a text with a number, name, price or day that it was not told.

    Numbers and names may come from the prompt; prices and days must come from the request: those
    in the user's older texts and in a template's examples are of other matters.
    """

    name = "facts"

    # Here every noun has a capital.
    _CAPITAL_NOUNS = frozenset({"de", "lb"})
    # A fact of this name is a price, though it is a bare number.
    _PRICE = re.compile(r"price|cost|fee|preis|prix|precio|prezzo|amount", re.IGNORECASE)

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text states what nobody told it."""
        known = "\n".join((case.prompt, *case.given_texts))
        if not numbers_in(text) <= numbers_in(known) or self._invents(text, case):
            return True
        if case.language in self._CAPITAL_NOUNS:
            return False
        return not names_in(text) <= known_words(known)

    def _invents(self, text: str, case: Case) -> bool:
        told = "\n".join(case.told_texts)
        if not days_in(text) <= days_in(told):
            return True
        prices = prices_in(text)
        if not prices:
            return False
        known = prices_in(told)
        facts = case.item.facts.items() if case.item else ()
        amounts = {
            amount_of(value)
            for name, value in facts
            if isinstance(value, int | float) and self._PRICE.search(name)
        }
        # Of an amount that is told in some currency, the currency is known.
        bare = {(ANY, amount) for amount in amounts - {amount for _, amount in known}}
        return not all(is_told(price, known | bare) for price in prices)


class Ungrounded:
    """Refuse a text most of whose words of meaning neither the request nor common use explains.

    Where it stands before `facts`, that gate need only look at names and numbers.
    """

    name = "ungrounded"

    def __init__(self, min_grounded_share: float) -> None:
        self._min_share = min_grounded_share

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text speaks of things that nobody mentioned."""
        known = content_stems(case.told_texts, case.language)
        said = content_stems((text,), case.language) - content_stems((COMMON_WORDS,), case.language)
        return len(known) >= _MIN_SOURCE_WORDS and len(said & known) < self._min_share * len(said)


_MAKERS: dict[str, Callable[[Selection, LeakIndex | None], Gate]] = {
    Empty.name: lambda *_: Empty(),
    Unfinished.name: lambda *_: Unfinished(),
    Echo.name: lambda selection, _: Echo(selection.max_echoed_words),
    Copy.name: lambda selection, _: Copy(selection),
    Leak.name: lambda _, leaks: Leak(leaks),
    Loop.name: lambda *_: Loop(),
    OffSubject.name: lambda *_: OffSubject(),
    Facts.name: lambda *_: Facts(),
    MissingFacts.name: lambda *_: MissingFacts(),
    Ungrounded.name: lambda selection, _: Ungrounded(selection.min_grounded_share),
    PersonalData.name: lambda *_: PersonalData(),
    Banned.name: lambda selection, _: Banned(selection.banned_words),
    Required.name: lambda selection, _: Required(selection.required_words),
    Language.name: lambda *_: Language(),
    Length.name: lambda *_: Length(),
}


def build_gates(
    names: Sequence[str], selection: Selection, leaks: LeakIndex | None = None
) -> tuple[Gate, ...]:
    """Return the named gates in their order. Raises TemplateError for a name that is unknown."""
    for name in names:
        if name not in _MAKERS:
            raise TemplateError(
                f"there is no gate {name!r}", remedy=f"Gates are: {', '.join(_MAKERS)}."
            )
    return tuple(_MAKERS[name](selection, leaks) for name in names)


def _is_just(words: tuple[str, ...], given: tuple[str, ...]) -> bool:
    """Tell whether the words stand in a row in a given text and are most of it."""
    return bool(words) and 2 * len(words) >= len(given) and find(words, given) >= 0
