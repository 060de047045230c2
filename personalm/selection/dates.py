"""The days that a text names: weekdays, months, and days of a month.

They are known in English, German, French, Spanish, Italian, Chinese and Japanese, and written as
numbers with the year first or with points. A weekday that is any of its name ("a rainy Sunday",
"every Monday") is no day. Of a word that is not only a month ("may", "march") what stands beside
it decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONTHS = (
    "january jan januar jänner janvier enero gennaio",
    "february feb februar février febrero febbraio",
    "march mar märz mars marzo",
    "april apr avril abril aprile",
    "may mai mayo maggio",
    "june jun juni juin junio giugno",
    "july jul juli juillet julio luglio",
    "august aug août agosto",
    "september sep sept septembre septiembre settembre",
    "october oct oktober okt octobre octubre ottobre",
    "november nov novembre noviembre",
    "december dec dezember dez décembre diciembre dicembre",
)
_WEEKDAYS = (
    "monday mon montag lundi lunes lunedì",
    "tuesday tue tues dienstag mardi martes martedì",
    "wednesday wed mittwoch mercredi miércoles mercoledì",
    "thursday thu thur thurs donnerstag jeudi jueves giovedì",
    "friday fri freitag vendredi viernes venerdì",
    "saturday sat samstag sonnabend samedi sábado sabato",
    "sunday sun sonntag dimanche domingo domenica",
)
_MONTH_OF = {name: n for n, names in enumerate(_MONTHS, 1) for name in names.split()}
_WEEKDAY_OF = {name: n for n, names in enumerate(_WEEKDAYS, 1) for name in names.split()}
# These are words too; in small letters and without a number beside them they name no day.
_DOUBTFUL = frozenset({"mar", "mars", "march", "may", "mai", "jan", "dec", "sep", "oct", "nov"})
_NO_WEEKDAY = frozenset({"mon", "wed", "sat", "sun", "thu", "fri", "tue"})

_WORD = re.compile(r"[^\W\d_]+")
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])(?!\d)(?:st|nd|rd|th|\.|er|º)?"
_DAY_AFTER = re.compile(rf"[\s.]{{1,2}}{_DAY}(?!\d|:\d|\s?(?:%|am\b|pm\b))")
_DAY_BEFORE = re.compile(rf"(?<![\d.:,]){_DAY}\s(?:(?:of|de)\s)?\Z")
_ISO = re.compile(r"(?<!\d)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?!\d)")
_POINTS = re.compile(
    r"(?<![\d.])(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(?:\d{4}|\d{2})?(?![\d])"
)
_EAST = re.compile(r"(1[0-2]|0?[1-9])月(?:(3[01]|[12]\d|0?[1-9])[日号])?")
_EAST_WEEKDAY = re.compile(r"([月火水木金土日])曜|(?:星期|周|週|礼拜)([一二三四五六日天])")
_EAST_DAYS = {c: n for n, c in enumerate("月火水木金土日", 1)} | {
    c: n for n, c in enumerate("一二三四五六日", 1)
}
_LONGEST_BEFORE = 12
_LONGEST_ANY = 40
_ANY_DAY = re.compile(
    r"(?:\A|\W)(?:an?|any|every|each|some|most|one|jede[nrs]?|einen?|chaque|un|cada|ogni)\s+"
    r"(?:[^\W\d_]+\s+)?\Z",
    re.IGNORECASE,
)


def days_in(text: str) -> frozenset[str]:
    """Return the weekdays ("weekday 2"), months ("month 3") and days of a month ("3-17")."""
    return frozenset((*_named(text), *_numbered(text)))


def _named(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        word = match.group().casefold()
        if word in _WEEKDAY_OF:
            is_day = word not in _NO_WEEKDAY or _has_own_capital(text, match)
            words_before = text[max(0, match.start() - _LONGEST_ANY) : match.start()]
            if is_day and not _ANY_DAY.search(words_before):
                yield f"weekday {_WEEKDAY_OF[word]}"
            continue
        month = _MONTH_OF.get(word)
        if month is None:
            continue
        after = _DAY_AFTER.match(text, match.end())
        before = _DAY_BEFORE.search(text[max(0, match.start() - _LONGEST_BEFORE) : match.start()])
        day = after or before
        is_month = word not in _DOUBTFUL or _has_own_capital(text, match)
        if day:
            yield f"{month}-{int(day['day'])}"
        if day or is_month:
            yield f"month {month}"


def _has_own_capital(text: str, match: re.Match[str]) -> bool:
    """Tell whether a word has a capital that it does not owe to where it stands."""
    before = text[: match.start()].rstrip()
    starts = not before or before[-1] in ".!?:\"'“”„«»()\n…-–—"
    return match.group()[0].isupper() and not starts


def _numbered(text: str) -> Iterator[str]:
    for month, day in _ISO.findall(text):
        yield from _both(month, day)
    for day, month in _POINTS.findall(text):
        yield from _both(month, day)
    for month, day in _EAST.findall(text):
        yield from _both(month, day)
    for match in _EAST_WEEKDAY.finditer(text):
        character = match.group(1) or match.group(2).replace("天", "日")
        yield f"weekday {_EAST_DAYS[character]}"


def _both(month: str, day: str) -> Iterator[str]:
    yield f"month {int(month)}"
    if day:
        yield f"{int(month)}-{int(day)}"
