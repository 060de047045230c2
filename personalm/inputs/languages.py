"""The language a user writes in, told from the user's texts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_CHARS = 4_000
_MIN_CHARS = 60
_MIN_PROBABILITY = 0.9
_CODE_LENGTH = 2


def detect_language(texts: Sequence[str], *, default: str) -> str:
    """Return the two letters of the language of some texts taken together.

    The default is returned where the texts are too few to tell, and where they could be of
    several languages: below 60 characters, or a probability of 0.9.
    """
    pooled = _pool(texts)
    if len(pooled) < _MIN_CHARS:
        return default
    language, probability = _load_identifier().classify(pooled)
    if probability < _MIN_PROBABILITY or len(language) != _CODE_LENGTH:
        return default
    return str(language)


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


@lru_cache(maxsize=1)
def _load_identifier() -> Any:  # noqa: ANN401 - py3langid has no types
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - 0.8 s to load

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
