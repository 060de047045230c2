"""What the gate `copy` must drop, and what the same writers say again and it must not."""

from __future__ import annotations

from itertools import count
from time import process_time
from typing import Any

import pytest

from personalm.records import Item
from personalm.selection.case import Case
from personalm.selection.copy_gate import Copy
from personalm.settings import Selection

HISTORY = (
    "Took the dog along the canal this morning and met three herons on the way back home.",
    "my sourdough finally worked!!",
    "Reading The Left Hand of Darkness again because winter is here and I need it.",
)

PASSAGE = "Salt lowers the freezing point of water, so roads are salted before a cold night."


def copy(**selection: Any) -> Copy:
    """Build the gate with the usual settings but these."""
    return Copy(Selection(**selection))


@pytest.mark.parametrize(
    "text",
    [
        HISTORY[0],
        HISTORY[0].upper().replace(",", " -"),
        "Guess what: took the dog along the canal this morning and met three herons. Nice.",
        "My sourdough finally worked :)",
        "my sourdough finally worked today",
    ],
)
def test_copy_drops_long_runs_of_the_history(text: str) -> None:
    """Other case, punctuation and a few words around it do not make a copy new."""
    assert copy().refuses(text, Case(history=HISTORY))


@pytest.mark.parametrize(
    "text",
    [
        "Took the dog along the river today and saw a heron by the old mill.",
        "the sourdough worked, finally",
        "met three herons this morning",
        "worked!!",
    ],
)
def test_copy_passes_the_same_writer_on_the_same_matters(text: str) -> None:
    """Ten words in a row are within what people share with themselves."""
    assert not copy().refuses(text, Case(history=HISTORY))


def test_copy_takes_no_notice_of_the_title() -> None:
    """To name the item is to quote it."""
    title = "The Hundred-Year-Old Man Who Climbed Out of the Window and Disappeared"
    history = (f"Just finished {title} and I am still laughing",)
    text = f"If you only read one book this year, {title} should be it."
    item = Item(item_id="1", title=title)
    assert copy().refuses(text, Case(history=history))
    assert not copy().refuses(text, Case(history=history, item=item))
    loose = copy(max_repeated_sentence=7)
    assert not loose.refuses(history[0], Case(history=(history[0], "x"), item=item))


def test_copy_follows_its_setting() -> None:
    """The limit is the longest run that is still allowed."""
    history = ("one two three four five six seven eight nine ten eleven twelve",)
    other = "a b c d e f g h i j k l m n"
    for number in (9, 10, 11):
        text = " ".join(history[0].split()[:number]) + " " + other
        assert copy().refuses(text, Case(history=history)) is (number > 10)
        lower = copy(max_copied_words=number)
        assert not lower.refuses(text, Case(history=history))


@pytest.mark.parametrize(
    "text",
    [
        "I went to the market. I was tired of looking cheerful at them. Then it rained.",
        "We left early: the dog had been ill, and I was tired of looking cheerful at them!",
        "i was tired of looking cheerful at them",
        "Nobody came at all.\nI WAS TIRED OF LOOKING CHEERFUL AT THEM...\nSo I left.",
    ],
)
def test_copy_drops_a_whole_sentence_of_ones_own(text: str) -> None:
    """It is shorter than the longest run that is allowed, and said once: nobody says it again."""
    once = ("There were cameras everywhere. I was tired of looking cheerful at them. Bye.", "Hm.")
    is_whole = "and I was tired" not in text

    assert copy().refuses(text, Case(history=once)) is is_whole
    loose = copy(max_repeated_sentence=8)
    assert loose.refuses(text, Case(history=once)) is text.startswith("i was")  # all of the text


def test_copy_passes_a_sentence_that_is_a_habit() -> None:
    """What stands in several texts, in few words, or in the title, is nobody's loss."""
    often = ("Sorry to hear that. Please send us a note with your number.",) * 2
    reply = "That is odd indeed. Please send us a note with your number. We look into it at once."
    assert not copy().refuses(reply, Case(history=often))
    assert copy().refuses(reply, Case(history=often[:1]))
    assert not copy().refuses("Nice day. See you all soon.", Case(history=("See you all soon.",)))
    item = Item(item_id="1", title="We Have Always Lived in the Castle")
    said = (f"My book of the year. {item.title}. Read it.",)
    text = f"Everybody should know this one by now. {item.title}. It is short and dark and quick."
    assert copy().refuses(text, Case(history=said))
    assert not copy().refuses(text, Case(history=said, item=item))


def test_copy_knows_sentences_without_spaces() -> None:
    """A courtesy of fifteen characters may be said again, a remark may not."""
    remark, courtesy = "川沿いの道をゆっくり友達と歩きました。", "どうぞよろしくお願いいたします。"
    case = Case(history=(f"昨日は寒かったですね。{remark}{courtesy}",))
    before, after = (
        "今日は暖かいです。空もとても青いです。",
        "明日は雨が降ると聞きました。本当でしょうか。",
    )

    assert copy().refuses(f"{before}{remark}{after}", case)
    assert not copy().refuses(f"{before}{courtesy}{after}", case)


def test_copy_counts_characters_where_there_are_no_spaces() -> None:
    """A courtesy in Japanese is no copy; a whole remark is."""
    history = (
        "昨日は友達と一緒に京都へ行って、お寺をたくさん見ました。どうぞよろしくお願いします。",
    )
    copied = "昨日は友達と一緒に京都へ行って、お寺をたくさん見ましたよ。楽しかった。"
    assert copy().refuses(copied, Case(history=history))
    own = "こちらこそ、どうぞよろしくお願いします。また明日お話ししましょうね。"
    assert not copy().refuses(own, Case(history=history))


def test_a_huge_history_is_searched_once() -> None:
    """The runs of a history are kept, so that the next candidate costs next to nothing."""
    numbers = count()
    history = tuple(" ".join(f"word{next(numbers)}" for _ in range(20)) for _ in range(5_000))
    case = Case(history=history)
    gate = copy()
    candidate = "a fresh text of quite a few words that was never seen anywhere before this day"
    assert gate.refuses(history[-1], case)
    gate.refuses(candidate, case)
    start = process_time()
    for number in range(100):
        assert not gate.refuses(f"{candidate} {number}", case)
    assert process_time() - start < 0.5


def test_a_long_piece_of_the_source_is_a_copy() -> None:
    """A note in the passage's own words is no note; a short quotation is none the less fine."""
    case = Case(subject=PASSAGE, finish="stop")

    assert copy().refuses(PASSAGE, case)
    assert not copy().refuses("Salt lowers the freezing point of water.", case)
