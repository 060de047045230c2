"""Laws of masking: what tells an author without being style is gone, style is not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.evaluation.masking import Masker, find_signatures
from personalm.selection.words import split_words
from tests.evaluation.world import FILLERS, NOUNS, make_profile

COMMON = "well i think you can just run it on the box and see what rose says about it"
MASKER = Masker(frozenset(COMMON.split()), names=["Rose Tyler"], titles=["The Box", "On the Run"])


def test_addresses_names_titles_and_rare_words_are_marks() -> None:
    """Common words stay, but for a name and within a title."""
    assert MASKER.mask("genii, you can see it") == "*, you can see it"
    assert MASKER.mask("@genii: well, run it!") == "*: well, run it!"
    assert MASKER.mask("I think Rose says so") == "I think * says *"
    assert MASKER.mask("see it on the run") == "see it * * *"
    assert MASKER.mask("you run the box?") == "you run * *?"


def test_a_word_that_everybody_opens_with_is_no_address() -> None:
    """An opening such as `Well,` is a habit, not a nick."""
    assert MASKER.mask("Well, you can run it") == "Well, you can run it"


def test_links_paths_commands_and_numbers_are_marks() -> None:
    """What a machine reads is nobody's style."""
    text = "just run /etc/init.d/x and see https://a.b/c or !paste and me@host.org --force 42"

    assert MASKER.mask(text) == "just run * and see * * * and * * #"


def test_case_and_punctuation_stay() -> None:
    """They are style."""
    assert MASKER.mask("WELL... i think; you CAN!!") == "WELL... i think; you CAN!!"
    assert MASKER.mask("I’d think") == "* think"


def test_a_signature_is_masked_where_it_ends_a_text() -> None:
    """What a fifth of somebody's texts end with is found; elsewhere the words stay."""
    texts = [f"some words number {n}. you can see" for n in range(6)] + ["you can see it"] * 3

    signatures = find_signatures(texts)

    assert ("can", "see") in signatures
    assert MASKER.mask("i think you can see", signatures=signatures) == "i think * * *"
    assert MASKER.mask("you can see it", signatures=[("can", "see")]) == "you can see it"


def test_common_words_are_those_of_a_fifth_of_the_people() -> None:
    """Of people who are not compared; a word of few gives them away."""
    background = [make_profile(n).texts for n in range(16)]
    secret = [(*texts, "the pterodactyl sings") for texts in background[:2]]

    masker = Masker.of([*secret, *background[2:]])

    assert masker.mask("the river, " + " ".join(FILLERS + NOUNS)) == "the river, " + " ".join(
        FILLERS + NOUNS
    )
    assert masker.mask("the pterodactyl sings") == "the * *"
    assert masker.num_kept < 60


def test_scripts_without_spaces_lose_their_rare_characters() -> None:
    """A name in kanji is rare characters among common kana."""
    masker = Masker(frozenset("今日は雨です"))

    assert masker.mask("鷹野さん、今日は雨です。") == "****、今日は雨です。"


@pytest.mark.parametrize(
    "unit",
    ["a", "1", "@", "a@", "@.", ".", "_", "/a", "=_", "-", "'", "今日は雨、", "☀", " "],
)
def test_a_text_without_spaces_costs_by_its_length(unit: str) -> None:
    """Whatever it repeats, and whether or not it ends in something else."""
    for end in ("", "x", " x", ".x"):
        text = (unit * 20_000)[:20_000] + end
        start = time.process_time()
        MASKER.mask(text)
        find_signatures([text])

        assert time.process_time() - start < 0.5


def test_an_address_of_mail_is_a_mark_wherever_it_stands_in_a_word() -> None:
    """It has something before the sign, and a dot between other characters behind it."""
    for mail in ("me@host.org", "<me@host.org>", "@@me@a.b", "a@b@c.de", "mail:me@host.org."):
        assert MASKER.mask(f"see {mail} on it") == "see * on it"
    assert MASKER.mask("see it@ on. i@box") == "see it@ on. i@box"


@given(st.text("abno the.,'@:/🙂水1\n ", max_size=60))
def test_no_rare_word_is_left(text: str) -> None:
    """Whatever stands round it."""
    left = split_words(MASKER.mask(text))

    assert set(left) <= set(COMMON.split())
