"""Laws of languages."""

from __future__ import annotations

import pytest

from personalm.planning.languages import normalise_language, normalise_languages


@pytest.mark.parametrize(
    ("written", "language"),
    [
        *(("en", "en"), ("EN", "en"), (" en-GB ", "en"), ("zh_Hant", "zh")),
        *(("", None), (None, None)),
        *((odd, None) for odd in ("日本語", "én", "ｅｎ", "İ", "ß", "\u202een", "12", "-")),
    ],
)
def test_a_language_is_two_small_letters(written: str | None, language: str | None) -> None:
    """Regions, scripts and capitals make no other language."""
    assert language == normalise_language(written)


def test_a_list_of_languages_names_each_once() -> None:
    """Empty entries name none."""
    assert normalise_languages(["nl", "en-US", "en", ""]) == ("en", "nl")
