"""Shortening of texts at a place where a reader would stop."""

from __future__ import annotations

import re

# The end of a sentence, with the quotes and brackets that close it.
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|[。！？]|\n")
_LEAST_SHARE = 0.5


def cut_text(text: str, max_chars: int) -> str:
    """Return the start of a text, of at most so many characters, without space at its end.

    It ends with a sentence where that leaves half of the room or more in use, else with a word,
    else wherever the room ends.
    """
    if len(text) <= max_chars:
        return text.rstrip()
    room = text[: max_chars + 1]
    least = int(max_chars * _LEAST_SHARE)
    ends = [m.end() for m in _SENTENCE.finditer(room) if least <= m.end() <= max_chars]
    if ends:
        return text[: ends[-1]].rstrip()
    space = max(room.rfind(" "), room.rfind("\n"), room.rfind("\t"))
    return text[: space if space >= max(least, 1) else max_chars].rstrip()


def fold_spaces(text: str) -> str:
    """Return a text as one line: every run of white space is one space."""
    return " ".join(text.split())
