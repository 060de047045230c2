"""The gate that keeps out what was taken word for word: from the own texts, or from the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.selection.overlap import MIN_RUN, Runs, find, run_length
from personalm.selection.own_sentences import OwnSentences
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from personalm.selection.case import Case
    from personalm.settings import Selection

    Words = tuple[str, ...]

# A shorter title is too common a run of words to be left out wherever it stands.
_MIN_TITLE_WORDS = 3


class Copy:
    """Refuse a text that takes long runs of words from the user's own texts or from its source.

    A whole sentence of the user's own is enough, unless it is said again and again.
    """

    name = "copy"

    def __init__(self, selection: Selection) -> None:
        self._limit = selection.max_copied_words
        self._source_limit = selection.max_quoted_words
        self._runs = Runs()
        self._max_sentence = selection.max_repeated_sentence
        self._sentences = OwnSentences(self._max_sentence)

    def refuses(self, text: str, case: Case) -> bool:
        """Tell whether the text was taken from elsewhere; the item's title may be quoted."""
        words = split_words(text)
        title = split_words(case.item.title) if case.item else ()
        title = title if len(title) >= _MIN_TITLE_WORDS else ()
        pieces = _without(title, words)
        length = run_length(words, self._limit)
        # A source is to be used: a short text may keep most of its words, in no long run.
        return (
            self._shares(pieces, case.history, length)
            or self._shares(pieces, case.topic_texts, self._source_limit + 1)
            or self._repeats_sentence(text, words, title, case.history)
        )

    def _shares(self, pieces: list[Words], texts: tuple[str, ...], length: int) -> bool:
        return any(self._runs.share(texts, piece, length) for piece in pieces)

    def _repeats_sentence(
        self, text: str, words: Words, title: Words, history: tuple[str, ...]
    ) -> bool:
        # Who repeats a sentence shares its first words: that is known without parting the texts.
        if not self._runs.share(history, words, min(self._max_sentence, MIN_RUN)):
            return False
        return self._sentences.are_repeated_by(text, history, title=title)


def _without(title: Words, words: Words) -> list[Words]:
    """Split words where the title stands among them."""
    start = find(title, words)
    if start < 0:
        return [words]
    return [words[:start], *_without(title, words[start + len(title) :])]
