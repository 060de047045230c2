"""Languages as two small letters, whatever the tables write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def normalise_language(language: str | None) -> str | None:
    """Return `en` for `EN`, `en-GB` or ` en_US `; None where nothing is a code of a language."""
    short = (language or "").strip()[:2].lower()
    return short if short.isascii() and short.isalpha() else None


def normalise_languages(languages: Iterable[str]) -> tuple[str, ...]:
    """Return each language once, normalised, in order of the alphabet."""
    return tuple(sorted({short for each in languages if (short := normalise_language(each))}))
