"""What a text states as fact: its numbers and the names in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personalm.selection.sentences import split_sentences
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECIMAL = re.compile(r"\d+\.\d+")
_TOKEN = re.compile(r"[^\W\d_][\w'’]*|[.:;!?…—–\"“”„«»()\[\]*/•>|-]+|[^\s\w,&'’.]")
_POSSESSIVE = re.compile(r"['’]s$")
_ORDINARY = frozenset(
    split_words(
        """i monday tuesday wednesday thursday friday saturday sunday january february
        march april may june july august september october november december mon tue tues
        wed thu thur thurs fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec
        christmas easter god ok okay tv mr mrs ms dr internet earth english"""
    )
)


def numbers_in(text: str) -> frozenset[str]:
    """Return the numbers of a text in one form: 1,000 and 1000, 3.0 and 3 are the same."""
    return frozenset(plain_number(match) for match in _NUMBER.findall(text))


def names_in(text: str) -> frozenset[str]:
    """Return, in lower case, the words that start with a capital within a sentence.

    The first word of a sentence, of a quotation and after a colon or dash says nothing, and
    neither does a word in capitals throughout.
    """
    return frozenset(
        name for sentence in split_sentences(text) for name in _names(sentence) if name
    )


def known_words(text: str) -> frozenset[str]:
    """Return the words of a text as `names_in` writes them."""
    return frozenset(_POSSESSIVE.sub("", word) for word in split_words(text))


def _names(sentence: str) -> Iterator[str]:
    is_first = True
    for match in _TOKEN.finditer(sentence):
        token = match.group()
        if not token[0].isalpha():
            is_first = True
            continue
        word = _POSSESSIVE.sub("", token)
        is_contraction = word[:1] == "I" and word[1:2] in ("'", "’")
        is_capital = word[0].isupper() and not (len(word) > 1 and word.isupper())
        if is_capital and not is_first and not is_contraction:
            lower = "".join(split_words(word))
            if lower not in _ORDINARY:
                yield lower
        is_first = False


def plain_number(number: str) -> str:
    """Return a number in one form, without commas between thousands and zeros at its ends."""
    number = _THOUSANDS.sub("", number)
    if _DECIMAL.fullmatch(number):
        number = number.rstrip("0").removesuffix(".")
    return number.lstrip("0") or "0"
