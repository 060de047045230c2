"""The shape of a text: how it is written, whatever it is about.

Each feature is a number of the text alone, from 0 up; rates are drawn to their square root, so
that one comma more counts most where there are few. Greetings, sign-offs and contractions are
known in English, greetings and sign-offs in a few more languages; elsewhere they are 0 for all,
and what is the same for all decides nothing.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from personalm.selection.lengths import measure_length
from personalm.selection.sentences import split_sentences
from personalm.selection.words import EMOJI, SMILEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEATURES = (
    "length",
    "sentence_length",
    "word_length",
    "capitals",
    "lower_case_start",
    "commas",
    "stops",
    "exclamations",
    "questions",
    "ellipses",
    "other_marks",
    "digits",
    "emoji",
    "contractions",
    "greeting",
    "sign_off",
    "kana",
)
"""Names of the features, in the order of a row."""

GREETING = re.compile(
    r"\s*(?:hi|hey|hello|hiya|howdy|dear|yo|greetings|good (?:morning|afternoon|evening|day)"
    r"|morning|hallo|guten (?:morgen|tag|abend)|moin|liebe[rs]?|bonjour|salut|hola|buenos d[ií]as"
    r"|ciao|ol[aá]|hej|hei|привет|здравствуйте)\b"
    r"|\s*(?:こんにちは|こんばんは|おはよう|はじめまして|初めまして|もしもし|你好|您好|大家好|早上好|嗨)",
    re.IGNORECASE,
)
"""Pattern of a greeting, at the start of a text."""

SIGN_OFF = re.compile(
    r"(?:\b(?:cheers|regards|best(?: wishes)?|sincerely|thanks(?: again| in advance| a lot)?"
    r"|thank you|many thanks|thx|ta|yours|love|xo+|take care|bye|see you|see ya|cya|good night"
    r"|gruß|grüße|lg|vg|merci|cordialement|saludos|gracias|abrazos|mvh|спасибо)"
    r"(?:[ ,.!-]+[\w'-]+){0,2}"
    r"|(?:ありがとうございま(?:す|した)|よろしくお願い(?:いた)?します|お願いします|ではまた|さようなら"
    r"|谢谢|謝謝|再见|祝好))"
    r"\W*\Z",
    re.IGNORECASE,
)
"""Pattern of a sign-off, at the end of a text."""

_CONTRACTION = re.compile(
    r"\b(?:\w+n['’]t|\w+['’](?:m|re|ve|ll|d)|(?:it|that|he|she|what|there|here|let|who)['’]s"
    r"|(?:dont|cant|wont|didnt|doesnt|isnt|im|ive|youre|thats|gonna|wanna|gotta))\b",
    re.IGNORECASE,
)
_EMOJI = re.compile(rf"{EMOJI}|{SMILEY}")
_COMMAS = ",，、،"
_EXCLAMATIONS = "!！"
_QUESTIONS = "?？؟"
_STOP = re.compile(r"(?<![.．])[.。．｡](?![.．\w])")
_ELLIPSIS = re.compile(r"\.{2,}|…+|。{2,}|・{3,}")
_OTHER_MARK = re.compile(r"[;:()\[\]{}\"“”„«»「」『』（）*/\\~–—]|(?<=\s)-(?=\s)")
_KANA = re.compile("[\u3041-\u30ff]")
_FIRST_LETTER = re.compile(r"\A\W*(\w)")


def shape_rows(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the features of each text. *Shape:* (number of texts, `len(FEATURES)`)."""
    rows = np.array([_features(text) for text in texts], dtype=np.float32)
    return rows.reshape(len(texts), len(FEATURES))


def has_contraction(text: str) -> bool:
    """Tell whether a text has a contraction, with or without its apostrophe."""
    return _CONTRACTION.search(text) is not None


def count_emoji(text: str) -> int:
    """Count emoji, and smileys made of punctuation."""
    return sum(1 for _ in _EMOJI.finditer(text))


def starts_lower(text: str) -> bool:
    """Tell whether the first letter of a text is a small one."""
    first = _FIRST_LETTER.match(text)
    return first is not None and first.group(1).islower()


def _features(text: str) -> tuple[float, ...]:
    sentences = split_sentences(text)
    num_words = measure_length(text)
    num_sentences = max(1, len(sentences))
    # By maps and filters: a user's whole history comes through here, letter by letter.
    letters = "".join(filter(str.isalpha, text))
    num_upper = sum(map(str.isupper, letters))
    num_cased = num_upper + sum(map(str.islower, letters))
    plain = _EMOJI.sub(" ", text)

    def rate(pattern: re.Pattern[str], base: int) -> float:
        return math.sqrt(len(pattern.findall(plain)) / max(1, base))

    def rate_marks(marks: str, base: int) -> float:
        return math.sqrt(sum(plain.count(mark) for mark in marks) / max(1, base))

    return (
        math.log1p(num_words),
        math.log1p(num_words / num_sentences),
        len(letters) / max(1, num_words),
        math.sqrt(num_upper / max(1, num_cased)),
        sum(map(starts_lower, sentences)) / num_sentences,
        rate_marks(_COMMAS, num_words),
        rate(_STOP, num_sentences),
        rate_marks(_EXCLAMATIONS, num_sentences),
        rate_marks(_QUESTIONS, num_sentences),
        rate(_ELLIPSIS, num_sentences),
        rate(_OTHER_MARK, num_words),
        math.sqrt(sum(map(str.isdigit, text)) / max(1, len(text))),
        math.sqrt(count_emoji(text) / num_sentences),
        math.sqrt(len(_CONTRACTION.findall(text)) / max(1, num_words)),
        float(GREETING.match(text) is not None),
        float(SIGN_OFF.search(text) is not None),
        len(_KANA.findall(text)) / max(1, len(letters)),
    )
