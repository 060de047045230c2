"""Labelled texts for each gate: what it must drop, and what people really write and it must not."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.errors import TemplateError
from personalm.records import FinishReason, Item
from personalm.selection.case import Case
from personalm.selection.gates import _MAKERS, Gate, build_gates
from personalm.settings import Selection

NAMES = tuple(_MAKERS)

CHAT = (
    "lol same",
    "ok thx :)",
    "brb food",
    "nah im good",
    "haha no way 😂😂😂",
    "sooooo tired today zzz",
    "i cant believe its already friday!!! 🎉🎉🎉",
    "yep yep yep",
    "no no no no, not again :(",
    "whos in for tonight",
    "just woke up, coffee first ☕",
    "omg YES",
    "hmmmmm... maybe later",
    "mood: 🛌",
    "can anyone tell me what this is made of",
    "new plant 🌱 new me",
    "it rained. it rained a lot. then we went home",
    "best. day. ever.",
    "<3 <3 <3 u guys",
    "k",
    "thank you, thank you!",
    "so i told him what i think and he just laughed D:",
    "The more I read the less I know, the more I know the less I sleep.",
    "Long walk by the river, then soup. Sundays are for soup.",
    "今日はいい天気ですね。",
    "เมื่อวานฝนตกหนักมาก",
)


def gate(name: str, **selection: int | tuple[str, ...]) -> Gate:
    """Build one gate with the usual settings."""
    return build_gates([name], Selection(**selection))[0]  # type: ignore[arg-type]  # by their names


@pytest.mark.parametrize("text", CHAT)
@pytest.mark.parametrize("name", [n for n in NAMES if n != "facts"])
def test_what_people_write_passes(name: str, text: str) -> None:
    """Terse, lower-case and emoji writers are no faults to be dropped."""
    history = tuple(t for t in CHAT if t != text)
    case = Case(prompt="Topic: tea\nPost:", history=history, finish="stop")
    assert not gate(name).refuses(text, case)


def test_an_unknown_gate_is_refused_with_the_known_ones() -> None:
    """A spelling mistake in a template stops the run before it starts."""
    with pytest.raises(TemplateError, match="'cpoy'") as caught:
        build_gates(["copy", "cpoy"], Selection())
    assert all(name in str(caught.value) for name in NAMES)


def test_gates_are_built_in_the_order_of_the_template() -> None:
    """The first gate that refuses is the one that is named."""
    assert [g.name for g in build_gates(NAMES[::-1], Selection())] == list(NAMES[::-1])


@pytest.mark.parametrize(
    ("text", "min_words", "is_refused"),
    [
        ("", 1, True),
        ("...", 1, True),
        ("😂😂😂", 1, True),
        (":)", 1, True),
        ("ok", 1, False),
        ("ok", 3, True),
        ("ok 👍🎉", 3, False),
        ("猫が好き", 3, False),
    ],
)
def test_empty(text: str, min_words: int, is_refused: bool) -> None:  # noqa: FBT001 - a table
    """Words are needed; emoji count beside them."""
    assert gate("empty").refuses(text, Case(min_words=min_words)) is is_refused


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        ("we went to the", "stop"),
        ("bread, milk and", "stop"),
        ("he told me because", "end"),
        ("Three things:", "stop"),
        ("well,", "stop"),
        ("she said (", "stop"),
        ('and then he said "', "stop"),
        ("そして、", "stop"),
        ("no end in sight", "length"),
        ("Mr. Smith goes", "length"),
        ("anything", "error"),
    ],
)
def test_unfinished_drops_what_breaks_off(text: str, finish: FinishReason) -> None:
    """A text that asks for more is not shown to anyone."""
    assert gate("unfinished").refuses(text, Case(finish=finish))


@pytest.mark.parametrize(
    "text",
    ["Done.", "sad :(", "this is it :[", 'he said "go"', "plan A", "what is it for", "ok D:"],
)
def test_unfinished_passes_smileys_and_bare_ends(text: str) -> None:
    """A smiley may look like an open bracket, and chat needs no full stop."""
    assert not gate("unfinished").refuses(text, Case(finish="stop"))


PROMPT = """Write short posts in the voice of the person below and keep to what is known.

Topic: gardening
Post: Pulled the last tomatoes today and the beds look empty now.

genii: you should try the new kernel
Topic: baking
Post:"""


@pytest.mark.parametrize(
    "text",
    [
        "Write short posts in the voice of the person below and keep going.",
        "Pulled the last tomatoes today and the beds look empty now.",
        "pulled the last tomatoes today and the beds look empty",
        "fresh bread tonight\nTopic: baking",
        "post: fresh bread tonight",
        "Baking",
        "Bread that rises overnight",
        "make it about rye",
    ],
)
def test_echo_drops_the_wording_cues_and_subject_of_the_prompt(text: str) -> None:
    """Nobody wants to read the template."""
    case = Case(
        prompt=PROMPT,
        shown=("genii: you should try the new kernel",),
        subject="baking",
        item=Item(item_id="1", title="Bread that Rises Overnight (2nd ed.)"),
        instructions="make it about rye please",
    )
    assert gate("echo").refuses(text, case)


@pytest.mark.parametrize(
    "text",
    [
        "genii: did the new kernel boot?",
        "baking again, the kitchen is a mess",
        "note: rye needs more water",
        "Pulled the last loaf out just now and the crust sings.",
        "you should try the new kernel",
    ],
)
def test_echo_passes_what_the_person_says_and_how(text: str) -> None:
    """The user's own words in the prompt, and cues that they use themselves, are theirs."""
    case = Case(prompt=PROMPT, shown=("genii: you should try the new kernel",), subject="baking")
    assert not gate("echo").refuses(text, case)


def test_echo_leaves_what_the_request_brings_to_the_writer() -> None:
    """A reply may use the words of the instructions and of the item."""
    instructions = "say that we refund the order within five working days at no cost"
    item = Item(item_id="1", title="Kettle", description="Boils a litre in two minutes flat.")
    case = Case(
        prompt=f"{instructions}\n{item.description}\nReply:", instructions=instructions, item=item
    )
    text = "Sorry about that! We refund the order within five working days at no cost to you. "
    assert not gate("echo").refuses(text + "It boils a litre in two minutes flat.", case)


def test_echo_drops_a_reply_that_only_repeats_the_message() -> None:
    """Parroting is no answer."""
    case = Case(prompt="Reply:", thread=("my kettle leaks all over the place",))
    assert gate("echo").refuses("My kettle leaks all over the place!", case)
    assert not gate("echo").refuses("Oh no, a kettle that leaks! Send us a photo?", case)
    long = Case(prompt="Reply:", thread=("my kettle leaks and no, i don't know why it does that",))
    assert not gate("echo").refuses("I don't know.", long)


@pytest.mark.parametrize(
    "text",
    [
        "I love it. I love it. I love it.",
        "The tea is good and the tea is good and the tea is good and the tea is good",
        "yes yes yes yes yes yes yes yes yes yes",
        "ha" * 40,
        "a" * 40,
        "=" * 60,
        "A book about a man. It is a good book. A book about a man.",
        "We went to see the sea and we liked it. Then we went to see the sea and we liked it.",
        "1 2 3 " * 12,
        "Good for the soul today, good for the soul tomorrow, and really good for the soul.",
        "tea milk oat tea milk tea oat oat milk tea tea oat milk oat tea milk milk oat tea oat oat",
        "これはとても美味しいお茶です。これはとても美味しいお茶です。",
        " ".join(["good tea", "nice tea", "tea good", "tea nice"] * 6),
    ],
)
def test_loop_drops_texts_that_go_round(text: str) -> None:
    """Words, sentences and characters that come back as no writer lets them."""
    assert gate("loop").refuses(text, Case())


KETTLE = Item(
    item_id="7",
    title="Brass Kettle",
    description="Whistles when the water boils.",
    facts={"maker": "Alder & Sons", "year": 1974.0, "tags": ("kitchen", "vintage")},
)


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("These kettles last for ever", False),
        ("love the whistling", False),
        ("pure vintage charm", False),
        ("the weather is fine today", True),
        ("it is what it is", True),
    ],
)
def test_off_subject(text: str, is_refused: bool) -> None:  # noqa: FBT001 - a table
    """One word of meaning, in whatever form, is enough to be on the subject."""
    assert gate("off_subject").refuses(text, Case(item=KETTLE)) is is_refused


def test_off_subject_passes_where_the_subject_says_nothing() -> None:
    """A title such as "It" gives no ground to refuse anything."""
    item = Item(item_id="1", title="It")
    assert not gate("off_subject").refuses("clowns are scary", Case(item=item))
    assert not gate("off_subject").refuses("clowns are scary", Case())


def test_off_subject_knows_other_languages() -> None:
    """German is stemmed as German; a language without a stemmer goes by whole words."""
    assert not gate("off_subject").refuses(
        "die Katze schläft", Case(subject="Katzen", language="de")
    )
    assert not gate("off_subject").refuses("猫が寝ている", Case(subject="猫が好き", language="ja"))
    assert gate("off_subject").refuses("犬は走る", Case(subject="猫が好き", language="ja"))


@pytest.mark.parametrize(
    "text",
    [
        "A steal at $49, really.",
        "Made in 1985 and still boiling.",
        "My friend Margaret swears by it.",
        "It beats the Russell Hobbs one.",
        "Boils in 2 minutes.",
    ],
)
def test_facts_drops_what_nobody_said(text: str) -> None:
    """Prices, years, numbers and names must come from somewhere."""
    assert gate("facts").refuses(text, Case(item=KETTLE, prompt="Item: Brass Kettle"))


@pytest.mark.parametrize(
    "text",
    [
        "Kettles like this one, from 1974, are hard to find.",
        "I think I'll put the Brass Kettle on. Tea on a Sunday?",
        "Old but gold: Alder's best work!",
        '"Whistles like a train" is what I say. 🚂 Love it. LOVE it.',
        "Ordered 1,500 of them :) Kidding",
        "I LOVE how it boils, it is SO good",
        "- Boils fast\n- Looks good",
    ],
)
def test_facts_passes_what_is_known_and_ordinary_capitals(text: str) -> None:
    """Sentence starts, weekdays, shouting and what the request tells are no inventions."""
    case = Case(item=KETTLE, instructions="we have 1500 left", prompt="Item: Brass Kettle")
    assert not gate("facts").refuses(text, case)


def test_facts_leaves_german_nouns_alone() -> None:
    """Where every noun has a capital only numbers can be told."""
    case = Case(language="de", item=KETTLE)
    assert not gate("facts").refuses("Das Wasser kocht im Kessel.", case)
    assert gate("facts").refuses("Das Wasser kocht in 3 Minuten.", case)


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=3), st.text(max_size=60))
def test_no_text_makes_a_gate_fail(text: str, history: list[str], prompt: str) -> None:
    """A gate says yes or no to anything, and the same each time."""
    case = Case(prompt=prompt, history=tuple(history), subject=prompt or None, finish="stop")
    for one in build_gates(NAMES, Selection()):
        assert one.refuses(text, case) is one.refuses(text, case)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 20_000,
        "! " * 10_000,
        "a. " * 7_000,
        "(: " * 7_000,
        "1:" * 9_000,
        "1" * 20_000,
        "1 " * 10_000,
        "4-" * 10_000,
        "DE12 " * 4_000,
        "call " * 4_000,
        "a@" * 10_000,
        "a.b-" * 5_000,
        "12 Old " * 3_000,
        "rue de la " * 2_000,
        "straße " * 3_000,
        "3 March 5 May " * 1_500,
        "12 " + "Aa " * 6_000,
        "call " + "1-" * 10_000,
        "$1,1" * 5_000,
        "中山路" * 6_000,
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_no_text_takes_long(name: str, text: str) -> None:
    """No pattern runs away on a text of the greatest length that inputs let through."""
    start = process_time()
    gate(name).refuses(text, Case(prompt=text, subject="tea", finish="stop"))
    assert process_time() - start < 1.0


@pytest.mark.parametrize(
    ("num_asked", "is_refused"), [(1, False), (2, False), (3, True), (9, True)]
)
def test_a_kind_says_how_many_words_of_the_subject_must_come_up(
    num_asked: int,
    is_refused: bool,  # noqa: FBT001 - a table
) -> None:
    """Half of the subject's words of meaning are enough, however many are asked for."""
    case = Case(subject="a flat battery on Friday night in the harbour", min_shared_words=num_asked)

    assert gate("off_subject").refuses("The battery was flat again.", case) is is_refused
    assert not gate("off_subject").refuses("The battery.", Case(subject="a battery"))


def test_where_there_are_instructions_they_are_the_subject() -> None:
    """A reply has to say what its task asks for, not to repeat the message."""
    case = Case(subject="My lamp flickers all evening.", instructions="Offer a refund of 9.00.")

    assert gate("off_subject").refuses("Your lamp flickers in the evening.", case)
    assert not gate("off_subject").refuses("You will get a refund.", case)


PASSAGE = "Salt lowers the freezing point of water, so roads are salted before a cold night."


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("Salt lets the roads be free of a hard freeze, as salted water freezes later.", False),
        ("Roads are salted, and that is a good thing to know.", False),
        ("My grandfather drove a lorry through the mountains with a parrot.", True),
        ("Salt was mined by giants under a castle in the forest.", True),
        ("Thank you, that is very kind!", False),
    ],
)
def test_ungrounded(text: str, is_refused: bool) -> None:  # noqa: FBT001 - a table
    """Most words of meaning come from what was given; common ones need no source."""
    assert gate("ungrounded").refuses(text, Case(subject=PASSAGE)) is is_refused


def test_ungrounded_passes_where_nothing_was_given() -> None:
    """Without a source, or with a bare title for one, there is nothing to be made of."""
    assert not gate("ungrounded").refuses(
        "A parrot sings on the lorry.", Case(subject="Space Jam (1996)")
    )
    assert not gate("ungrounded").refuses("A parrot sings on the lorry.", Case())


EXAMPLES = "Item: Spoons\nAbout: A course. Knives and wood are provided.\nItem: A Kettle\nAbout:"


@pytest.mark.parametrize(
    ("text", "history", "is_refused"),
    [
        ("A kettle with knives and wood provided.", (), True),
        ("A kettle for a house of wood.", (), False),
        ("A kettle with knives and wood provided.", ("my knives, my wood, provided daily",), False),
    ],
)
def test_what_only_the_examples_of_a_template_speak_of_is_an_echo(
    text: str,
    history: tuple[str, ...],
    is_refused: bool,  # noqa: FBT001 - a table
) -> None:
    """Words that the user uses or the request gives are no echo; one or two may be chance."""
    case = Case(prompt=EXAMPLES, item=Item(item_id="k", title="A Kettle"), history=history)

    assert gate("echo").refuses(text, case) is is_refused
