"""Laws of the words that all gates count."""

import pytest

from personalm.selection.words import count_words, is_unspaced, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t STOP, now!", ("don't", "stop", "now")),
        ("“quoted” (bracketed)", ("quoted", "bracketed")),
        ("naïve café №5", ("naïve", "café", "no5")),
        ("", ()),
        ("🎉 ... :)", ()),
        ("猫が好き", ("猫", "が", "好", "き")),
        ("हिन्दी लिखते", ("हिन्दी", "लिखते")),
        ("l'été c'est 3.5", ("l'été", "c'est", "3", "5")),
    ],
)
def test_case_punctuation_and_curly_apostrophes_do_not_count(
    text: str, words: tuple[str, ...]
) -> None:
    """Two spellings of the same words are the same words."""
    assert split_words(text) == words


def test_emoji_count_beside_words_and_never_alone() -> None:
    """A terse writer's emoji make a text longer; a text of emoji alone says nothing."""
    assert count_words("nice 🎉👍🏽") == 3
    assert count_words("🎉🎉🎉") == 0
    assert count_words("👩‍👩‍👧 hi") == 2


def test_scripts_without_spaces_are_recognised() -> None:
    """Most of the words decide, so that a name in Latin letters changes nothing."""
    assert is_unspaced(split_words("Pythonが好きです"))
    assert not is_unspaced(split_words("I like 猫 very much"))
    assert not is_unspaced(split_words("고양이를 좋아해요"))
    assert not is_unspaced(())
