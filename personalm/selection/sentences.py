"""Where sentences end, in prose and in chat; a little is known of English abbreviations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personalm.selection.words import EMOJI, SMILEY

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSERS = "\"'”’»)\\]}」』）】》"
SMILEY_AT_END = re.compile(rf"(?:{EMOJI}|{SMILEY})\Z")
# A run of stops is looked at once, from its start: a text may hold nothing else.
_ENDING = re.compile(
    rf"(?P<stop>(?<![.!?…؟।])[.!?…؟।]++)[{CLOSERS}*]*+(?=\s|$|{EMOJI})"
    rf"|[。！？｡]+[{CLOSERS}]*"
    rf"|(?:{EMOJI}|{SMILEY})(?=\s|$|{EMOJI})"
)
_BULLET_LINE = re.compile(r"^[ \t]*(?:[-*•–]|\d+[.)])[ \t]+\S.*(?=\n)", re.MULTILINE)
_LAST_TOKEN = re.compile(r"[\w.]*\Z")
_LONGEST_TOKEN = 24
_NEXT_WORD = re.compile(r"\s*(\w+)")

# These are followed by the rest of their sentence.
_NEVER_LAST = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "vs",
        "e.g",
        "i.e",
        "cf",
        "fig",
        "no",
        "nos",
        "vol",
        "ch",
        "pp",
        "approx",
        "gen",
        "sen",
        "rep",
        "rev",
        "hon",
    }
)
# These may end one: then the next word starts with a capital, or there is none.
_SELDOM_LAST = frozenset(
    {
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "jr",
        "sr",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "d.c",
        "ph.d",
        "dept",
        "est",
        "al",
        "feat",
    }
)
_JOINING = frozenset(
    {
        "and",
        "or",
        "but",
        "with",
        "for",
        "to",
        "of",
        "in",
        "on",
        "at",
        "by",
        "from",
        "than",
        "nor",
        "n",
        "&",
        "so",
    }
)


def sentence_ends(text: str) -> Iterator[int]:
    """Yield the offset behind each whole sentence, its closing quotes and emoji included."""
    ends = {match.end() for match in _ENDING.finditer(text) if _is_end(text, match)}
    ends.update(match.end() for match in _BULLET_LINE.finditer(text))
    yield from sorted(ends)


def split_sentences(text: str) -> tuple[str, ...]:
    """Return the sentences and lines of a text, stripped, without empty ones."""
    pieces = []
    start = 0
    for end in (*sentence_ends(text), len(text)):
        pieces += text[start:end].splitlines()
        start = end
    return tuple(piece.strip() for piece in pieces if piece.strip())


def _is_end(text: str, match: re.Match[str]) -> bool:
    following = _NEXT_WORD.match(text, match.end())
    next_word = following.group(1) if following else ""
    if match.group("stop") is None:
        return next_word.lower() not in _JOINING
    if match.group("stop") != ".":
        return True
    token = _token_before(text, match.start())
    last = token.lower()
    if last in _NEVER_LAST or _is_list_number(text, match.start(), token):
        return False
    if last in _SELDOM_LAST:
        return not next_word or next_word[0].isupper()
    return not _is_initial(token)


def _token_before(text: str, stop: int) -> str:
    match = _LAST_TOKEN.search(text[max(0, stop - _LONGEST_TOKEN) : stop])
    return match.group() if match else ""


def _is_initial(token: str) -> bool:
    """Tell "J" and "J.K" from "I" and from words."""
    letters = token.split(".")
    return letters != ["I"] and all(len(part) == 1 and part.isupper() for part in letters)


def _is_list_number(text: str, stop: int, token: str) -> bool:
    start = stop - len(token)
    return token.isdigit() and not text[:start].rpartition("\n")[2].strip()
