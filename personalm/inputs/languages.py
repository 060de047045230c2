"""The language a user writes in, told from the user's texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.languages import identify_language

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_CHARS = 4_000


def detect_language(texts: Sequence[str], *, default: str) -> str:
    """Return the two letters of the language of some texts taken together.

    The default is returned where the texts are too few to tell, and where they could be of
    several languages.
    """
    return identify_language(_pool(texts)) or default


def _pool(texts: Sequence[str]) -> str:
    """Join as many texts as can be looked at."""
    chosen: list[str] = []
    num_chars = 0
    for text in texts:
        if num_chars >= _MAX_CHARS:
            break
        chosen.append(text)
        num_chars += len(text) + 1
    return "\n".join(chosen)[:_MAX_CHARS]
