"""Laws of the cut to whole sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.records import FinishReason
from personalm.selection.sentences import split_sentences
from personalm.selection.trimming import trim_to_sentence

FINISHES: tuple[FinishReason, ...] = ("stop", "end", "length", "error")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One. Two is not", "One."),
        ("Really?! And then", "Really?!"),
        ("So it ended… and we", "So it ended…"),
        ('She said "go." Then we', 'She said "go."'),
        ("(It works.) But the", "(It works.)"),
        ("I met Mr. Smith and", None),
        ("It costs 3.50 at the", None),
        ("See example.com for", None),
        ("We read J. K. Rowling and", None),
        ("You and I. Then nobody", "You and I."),
        ("Bring tea, milk etc. and then", None),
        ("Bring tea, milk etc. Then we", "Bring tea, milk etc."),
        ("Come at 5 p.m. and", None),
        ("So tired 😂 gonna sleep", "So tired 😂"),
        ("I love 🐶 and cats when", None),
        ("ok fine :) see you at", "ok fine :)"),
        ("Great! 🎉🎉 We", "Great! 🎉🎉"),
        ("猫が好きです。犬も", "猫が好きです。"),
        ("本当？はい！でも", "本当？はい！"),
        ("- Cells divide\n- DNA is", "- Cells divide"),
        ("1. Tea is hot.\n2. Milk", "1. Tea is hot."),
        ("1. Tea and", None),
        ("no end at all", None),
        ("", None),
        ("   ", None),
    ],
)
def test_a_text_out_of_room_ends_with_its_last_whole_sentence(text: str, kept: str | None) -> None:
    """What follows the last end is cut; without an end nothing is left."""
    assert trim_to_sentence(text, finish="length") == kept


@pytest.mark.parametrize("finish", ["stop", "end"])
@pytest.mark.parametrize("text", ["no end at all", "One. Two is not", "lol 😂", "ok fine :("])
def test_a_text_that_ended_by_itself_is_kept_whole(text: str, finish: FinishReason) -> None:
    """The model decided where it ends."""
    assert trim_to_sentence(f"  {text}\n", finish=finish) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"Loved it."', "Loved it."),
        ("“Loved it.”", "Loved it."),
        ("「好きです。」", "好きです。"),
        ('"Loved it.', "Loved it."),
        ("'Loved it.'", "Loved it."),
        ('"Yes" and "no"', '"Yes" and "no"'),
        ("'tis the season", "'tis the season"),
        ("'Yes' or 'no'", "'Yes' or 'no'"),
        ('"Dune" is great', '"Dune" is great'),
        ("don't", "don't"),
        ('""', None),
        ('"', None),
    ],
)
def test_quotes_round_the_whole_text_are_taken_off(text: str, kept: str | None) -> None:
    """A pair round everything goes, and half a pair at the start; quotes within stay."""
    assert trim_to_sentence(text, finish="stop") == kept


@given(st.text(max_size=80), st.sampled_from(FINISHES))
def test_trimming_twice_changes_nothing(text: str, finish: FinishReason) -> None:
    """A trimmed text is a fixed point, of visible characters, and a part of the sample."""
    once = trim_to_sentence(text, finish=finish)
    if once is not None:
        assert once
        assert once == once.strip()
        assert once in text
        assert trim_to_sentence(once, finish=finish) == once


@given(st.text(alphabet="ab. !?\n「」。😂:)", max_size=60))
def test_sentences_hold_every_visible_character(text: str) -> None:
    """Splitting loses white space only."""
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
