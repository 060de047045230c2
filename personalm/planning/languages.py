"""Languages as two small letters, whatever the tables write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personalm.planning.iso639 import TWO_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

_CODE_LENGTH = 2
_END_OF_CODE = re.compile("[-_]")


def normalise_language(language: str | None) -> str | None:
    """Return `en` for `EN`, `en-GB`, ` en_US `, `eng` and `English`; None for no known language.

    Two letters are a code whatever they are. Others are one where ISO 639 says which: the first
    two letters of a longer one are mostly those of another language.
    """
    whole = (language or "").strip()
    head = _END_OF_CODE.split(whole, maxsplit=1)[0]
    if len(head) == _CODE_LENGTH and head.isascii() and head.isalpha():
        return head.lower()
    return TWO_LETTERS.get(whole.lower()) or TWO_LETTERS.get(head.lower())


def normalise_languages(languages: Iterable[str]) -> tuple[str, ...]:
    """Return each language once, normalised, in order of the alphabet."""
    return tuple(sorted({short for each in languages if (short := normalise_language(each))}))
