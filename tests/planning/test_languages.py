"""Laws of languages."""

from __future__ import annotations

import pytest

from personalm.planning.iso639 import _TABLE
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


@pytest.mark.parametrize(
    ("written", "language"),
    [
        *(("est", "et"), ("swe", "sv"), ("SWE", "sv"), ("slk", "sk"), ("slo", "sk"), ("jpn", "ja")),
        *(("ger", "de"), ("deu-AT", "de"), ("fre", "fr"), ("fra_CA", "fr"), ("spa", "es")),
        *(("chi", "zh"), ("zho-Hant", "zh"), ("dut", "nl"), ("nld", "nl"), ("cze", "cs")),
        *(("Swedish", "sv"), ("german", "de"), ("Estonian", "et"), ("Norwegian Bokm\u00e5l", "nb")),
        *(("English", "en"), ("English-US", "en"), (" scottish gaelic ", "gd")),
        ("Luba-Katanga", "lu"),
    ],
)
def test_a_longer_code_and_a_name_are_the_language_they_stand_for(
    written: str, language: str
) -> None:
    """Its first two letters are mostly another's: the Swedes would be taken for Swahili."""
    assert normalise_language(written) == language


@pytest.mark.parametrize(
    "written", ["fil", "ceb-PH", "tlh", "xyz", "Klingon", "e", "i-klingon", "en us", "\u212ao"]
)
def test_what_stands_for_no_known_language_is_no_other(written: str) -> None:
    """The texts tell then, as where nothing is said: Filipinos write no Finnish."""
    assert normalise_language(written) is None


def test_a_code_or_a_name_stands_for_one_language() -> None:
    """All of ISO 639: 183 languages with two letters, 20 of them with two codes of three."""
    lines = [line.split(" ", 3) for line in _TABLE.splitlines()]
    others = [other for _, _, other, _ in lines if other != "-"]
    codes = [*(two for two, *_ in lines), *(three for _, three, *_ in lines), *others]
    names = [name for *_, name in lines]

    assert (len(lines), len(others)) == (183, 20)
    assert len({*codes, *names}) == len(codes) + len(names)
    for two, three, other, name in lines:
        found = {normalise_language(each) for each in (two, three, other, name) if each != "-"}
        assert found == {two}
        assert (len(two), len(three)) == (2, 3)


def test_a_list_of_languages_names_each_once() -> None:
    """Empty entries name none."""
    assert normalise_languages(["nl", "en-US", "en", ""]) == ("en", "nl")
