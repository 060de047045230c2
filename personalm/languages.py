"""Which language a text is in, as py3langid tells it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MIN_CHARS = 60
"""A shorter text tells too little: of short English chat one in five is taken for another."""

MIN_PROBABILITY = 0.9
"""Below this a text could be of several languages."""

_CODE_LENGTH = 2


def identify_language(text: str, *, min_chars: int = MIN_CHARS) -> str | None:
    """Return the two letters of a text's language, `None` where it does not tell.

    That is below `min_chars` characters or a probability of 0.9.
    """
    if len(text) < min_chars:
        return None
    language, probability = _load_identifier().classify(text)
    if probability < MIN_PROBABILITY or len(language) != _CODE_LENGTH:
        return None
    return str(language)


def known_languages() -> frozenset[str]:
    """Return the two letters of each language that can be told."""
    return frozenset(_load_identifier().nb_classes)


@lru_cache(maxsize=1)
def _load_identifier() -> Any:  # noqa: ANN401 - py3langid has no types
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - 0.8 s to load

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
