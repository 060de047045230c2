"""Cut a sample to whole sentences and take off quotation marks that were never closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.selection.sentences import sentence_ends

if TYPE_CHECKING:
    from personalm.records import FinishReason

_PAIRS = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "『": "』", "'": "'", "‘": "’"}
# An apostrophe may open a text ('tis); half a pair of the others is an accident.
_APOSTROPHES = frozenset("'‘")


def trim_to_sentence(text: str, *, finish: FinishReason) -> str | None:
    """Return the text as a user may see it, or `None` where no whole sentence is left.

    A text that ended by itself is kept whole; one that ran out of room is cut after its last
    whole sentence. A failed one is never whole.
    """
    if finish == "error":
        return None
    text = text.strip()
    if finish == "length":
        text = text[: max(sentence_ends(text), default=0)]
    return _unquote(text) or None


def _unquote(text: str) -> str:
    """Strip a pair of quotes round the whole text, or half a pair at its start."""
    while text and (closing := _PAIRS.get(text[0])):
        opening, inside = text[0], text[1:]
        if len(text) > 1 and inside.endswith(closing) and _is_one_quote(inside[:-1], opening):
            text = inside[:-1].strip()
        elif opening not in _APOSTROPHES and closing not in inside:
            text = inside.strip()
        else:
            break
    return text


def _is_one_quote(inside: str, opening: str) -> bool:
    """Tell "one quote" from "two" of "them"; apostrophes within words do not count."""
    if opening not in _APOSTROPHES:
        return opening not in inside and _PAIRS[opening] not in inside
    return not any(f" {mark}" in inside or f"{mark} " in inside for mark in ("'", "‘", "’"))
