"""Gates that keep out what no text may hold: words of other users, personal data, banned words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from personalm.selection.dark_words import DARK_WORDS
from personalm.selection.grams import grams_of
from personalm.selection.personal_data import is_among, personal_data_in
from personalm.selection.phrases import Phrases, phrases_of
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.selection.case import Case
    from personalm.selection.leak_index import LeakIndex


class Leak:
    """Refuse a text with a long run of words that another user wrote.

    It passes what the prompt, the request and the own texts of the user and the voice hold, what
    three users wrote, and what stands in the catalogue. Without an index it abstains.
    """

    name = "leak"

    def __init__(self, index: LeakIndex | None) -> None:
        self._index = index

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether somebody else's words came out."""
        if self._index is None:
            return False
        size = self._index.num_words
        strange = self._index.find_strangers(grams_of((text,), size), case.writers)
        if not len(strange):
            return False
        known = grams_of((case.prompt, *case.given_texts, *case.history), size)
        return len(np.setdiff1d(strange, known)) > 0


class PersonalData:
    """Refuse a text with a mail address, a phone or card number, an IBAN or a street address.

    One that stands in the item, the subject or the instructions of the request is to be said;
    from the history, the thread or anywhere else it is not.
    """

    name = "personal_data"

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text holds personal data that nobody asked for."""
        found = personal_data_in(text, case.language)
        if not found:
            return False
        wish = (case.instructions,) if case.instructions else ()
        known = personal_data_in("\n".join((*case.topic_texts, *wish)), case.language)
        return not all(is_among(value, known) for value in found)


class Banned:
    """Refuse a text with a word or phrase that the settings or its kind ban.

    Of the shipped list, a kind that quotes its source may say what stands there.
    """

    name = "banned"

    def __init__(self, banned_words: Sequence[str] | None) -> None:
        self._is_shipped = banned_words is None
        self._phrases = Phrases(DARK_WORDS if banned_words is None else banned_words)

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether a banned word is there, in whatever case and between whatever marks."""
        words = split_words(text)
        may_quote = self._is_shipped and case.quotes_source
        source = split_words("\n".join(case.topic_texts)) if may_quote else ()
        return self._phrases.is_any_in(words, but_not_in=source) or phrases_of(
            case.banned_words
        ).is_any_in(words)
