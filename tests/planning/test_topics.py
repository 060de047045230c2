"""Laws of topics."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.planning.topics import choose_topic


def test_a_term_of_several_texts_is_the_topic() -> None:
    """What returns is what the user writes about."""
    texts = [
        "the partition is full again",
        "how do I resize a partition?",
        "you need a partition for swap",
        "my cat sat on the modem",
    ]

    assert choose_topic(texts) == "partition"


def test_a_pair_that_returns_is_better_than_its_words() -> None:
    """`usb drive` says more than `drive`."""
    texts = ["my usb drive is dead", "which usb drive do you have?", "the usb drive, not the drive"]

    assert choose_topic(texts) == "usb drive"


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", "   "],
        ["yes", "ok thanks", "sure I think so"],
        ["http://example.org/partition", "http://example.org/partition"],
        ["!partition", "!partition", "/join partition"],
        ["42 1234 eth0 sda1", "my_file x_y eth0"],
        ["carmel: hello", "carmel: thanks", "carmel, yes"],
        ["😀😀", "😀", "?!"],
    ],
)
def test_courtesies_links_commands_numbers_and_names_are_no_topics(texts: list[str]) -> None:
    """Where nothing qualifies there is no topic."""
    assert choose_topic(texts) is None


def test_a_name_that_is_addressed_is_no_topic_anywhere() -> None:
    """A nick in front of a text is left out of the others too."""
    texts = [
        "carmel: look",
        "about carmel, and the kernel",
        "with carmel",
        "from carmel",
        "the kernel",
    ]

    assert choose_topic(texts) == "kernel"


def test_verbs_are_no_topics() -> None:
    """A word that stands after `to` and `can` is something to do, not something to write about."""
    texts = ["I want to resize it", "can you resize that?", "the kettle is on", "a new kettle"]

    assert choose_topic(texts) == "kettle"


def test_newer_texts_weigh_more() -> None:
    """Of two terms as frequent, the one of the newer texts is chosen."""
    old, new = ["the garden is wet", "in the garden"], ["the violin is here", "on the violin"]

    assert choose_topic(old + new) == "violin"
    assert choose_topic(new + old) == "garden"


def test_forms_of_a_word_are_one_term_in_its_usual_spelling() -> None:
    """Singular and plural count together; a capital stays where it is always there."""
    assert choose_topic(["the slugs won", "a slug again", "my slugs are fat"]) == "slugs"
    assert choose_topic(["we use Brasero", "is Brasero for this?", "in Brasero"]) == "Brasero"


def test_one_text_alone_can_have_a_topic() -> None:
    """Then only a noun will do."""
    assert choose_topic(["I have finally repaired the bicycle"]) == "bicycle"


def test_texts_without_spaces_have_topics() -> None:
    """Nouns in Japanese, pairs of characters in Chinese."""
    japanese = ["今日はラーメンを食べました", "ラーメンが好きです", "よろしくお願いします"]
    chinese = ["我的电脑坏了", "电脑很慢", "新电脑到了"]

    assert choose_topic(japanese) == "ラーメン"
    assert choose_topic(chinese) == "电脑"


def test_words_of_the_background_are_no_topics() -> None:
    """The caller can name more words that are nobody's topic."""
    texts = ["the kernel and the modem", "a kernel for the modem", "my kernel"]

    assert choose_topic(texts, background={"kernel", "the", "and", "for"}) == "modem"


@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_text_gives_a_topic_of_letters_or_none(texts: list[str]) -> None:
    """Whatever people type, the answer is short, readable and the same each time."""
    topic = choose_topic(texts)

    assert topic == choose_topic(texts)
    assert topic is None or (
        topic.replace(" ", "").replace("ー", "a").isalpha() and len(topic) < 50
    )


def test_the_time_is_bounded_for_any_text() -> None:
    """Neither a huge text nor a huge history takes long."""
    start = time.perf_counter()
    choose_topic(["a" * 1_000_000, "a:" * 500_000, "!" * 1_000_000, "\u3042" * 1_000_000])
    choose_topic(["the red kite flies over the old mill"] * 100_000)

    assert time.perf_counter() - start < 2.0


def test_most_real_people_have_a_topic() -> None:
    """Tried on real chat, where the folder of real data is named by PERSONALM_DATA."""
    path = Path(os.environ.get("PERSONALM_DATA", "/nonexistent")) / "irc/interactions.parquet"
    if not path.is_file():
        pytest.skip("PERSONALM_DATA names no folder with irc/")
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where there is real data

    texts: dict[str, list[str]] = defaultdict(list)
    for row in pq.read_table(path, columns=["user_id", "text"]).to_pylist():
        texts[row["user_id"]].append(row["text"] or "")
    topics = [choose_topic(texts[user_id]) for user_id in sorted(texts)[:200]]

    assert sum(topic is not None for topic in topics) >= 190
