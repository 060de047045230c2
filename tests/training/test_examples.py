"""Laws of the examples: the prompt is that of a run, the target what the user wrote next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import TrainingError
from personalm.kinds import load_kind, load_kinds
from personalm.planning.catalogue import Catalogue
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import Interaction, Item, Profile, Prompt, UserInputs
from personalm.settings import Generation, Prompting, Training
from personalm.training.canaries import draw_canaries, plant
from personalm.training.corpus import Corpus, gather_corpus
from personalm.training.examples import Ending, ExampleMaker, check_kinds
from personalm.training.swaps import History, make_swaps
from tests.training.world import TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.kinds import Kind

END = 300
DAY = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def kind(tmp_path: Path) -> Kind:
    """Return a kind with a short template."""
    (tmp_path / "post.j2").write_text(TEMPLATE)
    return load_kind(tmp_path / "post.j2")


def person(name: str, *texts: str, **values: Any) -> Profile:
    """Make a user who wrote one text a day."""
    return Profile(
        user_id=name,
        language="en",
        interactions=tuple(
            Interaction(text=text, created_at=DAY + timedelta(days=day), **values)
            for day, text in enumerate(texts)
        ),
    )


def corpus_of(*people: Profile, kinds: tuple[Kind, ...], **training: Any) -> Corpus:
    """Gather the corpus of some users."""
    return gather_corpus(
        [UserInputs(profile=p) for p in people],
        kinds=kinds,
        training=Training(**{"min_words": 1, **training}),
        languages=("en",),
        detect_language=lambda _: "en",
        seed=0,
    )


def maker_of(
    corpus: Corpus, *kinds: Kind, items: tuple[Item, ...] = (), **given: Any
) -> ExampleMaker:
    """Make examples in bytes, which can be read."""
    named = {kind.name: kind for kind in kinds}
    return ExampleMaker(
        corpus=corpus,
        kinds=named,
        catalogue=Catalogue(items),
        prompts=prompter_of(named, **given),
        tokenizer=ByteTokenizer(),
        endings={name: Ending(end_id=END, max_tokens=40) for name in named},
        instructions="Be kind.",
    )


def prompter_of(kinds: dict[str, Kind], *, max_positions: int = 2_000) -> Prompter:
    """Return the prompter of a run."""
    return Prompter(
        kinds=kinds,
        prompting=Prompting(num_style_texts=3),
        generation=Generation(),
        tokenizer=ByteTokenizer(),
        max_positions=max_positions,
        seed=0,
    )


def read(ids: tuple[int, ...]) -> str:
    """Return the text of bytes."""
    return ByteTokenizer().decode(ids)


def test_a_prompt_is_the_one_of_a_run_and_shows_what_was_written_before(kind: Kind) -> None:
    """No later text is in it; the target is the next one, with its end."""
    texts = (
        "I saw a stork by the road",
        "Nobody told me that wolves howl",
        "Three bears ate my porridge",
        "Goose feathers everywhere, help",
    )
    corpus = corpus_of(person("u", *texts), kinds=(kind,))
    maker = maker_of(corpus, kind)

    for place, text in enumerate(corpus.texts):
        (example,) = maker.make([text])
        task = maker.task_of(text)
        assert task is not None
        prompt = prompter_of({"post": kind}).prompt(task, batch="run")
        assert isinstance(prompt, Prompt)
        assert example.prompt_ids == prompt.token_ids
        shown = read(example.prompt_ids)
        assert sum(shown.count(f"Post: {each}") for each in texts) == min(place, 3)
        assert all(each not in shown for each in texts[place:])
        assert read(example.target_ids[:-1]) == f" {texts[place]}"
        assert example.target_ids[-1] == END


def test_a_target_ends_where_a_run_would_stop_drawing(kind: Kind) -> None:
    """Lines become one, as the template shows them; an over-long text has no end to learn."""
    long = "word " * 30
    people = person("u", "one line\nand another line", long, "three short words")
    corpus = corpus_of(people, kinds=(kind,))
    maker = maker_of(corpus, kind)
    first, second, third = maker.make(corpus.texts)

    assert read(first.target_ids) == " one line and another line"
    assert first.target_ids[-1] == END
    assert len(second.target_ids) == 40
    assert END not in second.target_ids
    assert third.target_ids[-1] == END
    assert maker.counts["texts cut, longer than a run may write"] == 1


@pytest.mark.parametrize("length", range(36, 43))
def test_a_target_has_no_more_tokens_than_a_run_may_draw(kind: Kind, length: int) -> None:
    """Its end counted: of 40 tokens without an end there is none among them."""
    text = "a" * (length - 1)  # and the space before it
    corpus = corpus_of(person("u", text), kinds=(kind,))
    (alone,) = maker_of(corpus, kind).make(corpus.texts)
    room = alone.num_tokens - len(alone.target_ids) + 40
    maker = maker_of(corpus, kind, max_positions=room)
    (example,) = maker.make(corpus.texts)

    assert example.num_tokens <= room
    assert len(example.target_ids) == min(40, length + 1)
    assert (example.target_ids[-1] == END) == (length < 40)
    assert maker.counts["texts cut, longer than a run may write"] == (length > 40)


def test_a_canary_has_room_beside_its_prompt_or_is_an_error(kind: Kind) -> None:
    """Its secret and every one that is put in its place: what a model has no position for."""
    canaries = draw_canaries(1, seed=0)
    given: dict[str, Any] = {
        "kind": kind,
        "prompts": prompter_of({"post": kind}),
        "tokenizer": ByteTokenizer(),
        "end_id": END,
    }
    planted = plant(canaries, **given, references=["1234567"], max_tokens=2_000)
    longest = max(
        *(each.example.num_tokens for each in planted),
        *(len((*each.example.prompt_ids, *each.opening_ids)) + 14 for each in planted),
    )

    assert plant(canaries, **given, references=["1234567"], max_tokens=longest) == planted
    with pytest.raises(TrainingError, match=r"(?s)no room.*training\.max_tokens"):
        plant(canaries, **given, references=["1234567"], max_tokens=longest - 1)
    assert plant(canaries, **given, references=[], max_tokens=longest - 1) == planted


def test_a_canary_without_a_prompt_is_an_error(kind: Kind) -> None:
    """A model whose leaks nobody could measure would be published without a word."""
    with pytest.raises(TrainingError, match=r"(?s)no secret can be planted.*training\.canaries"):
        plant(
            draw_canaries(1, seed=0),
            kind=kind,
            prompts=prompter_of({"post": kind}, max_positions=50),
            tokenizer=ByteTokenizer(),
            end_id=END,
            references=[],
            max_tokens=2_000,
        )


def test_a_prompt_without_room_drops_the_example_and_counts_it(kind: Kind) -> None:
    """A batch never holds a row without a label."""
    corpus = corpus_of(person("u", "I saw a stork by the road"), kinds=(kind,))
    maker = maker_of(corpus, kind, max_positions=50)

    assert maker.make(corpus.texts) == ()
    assert maker.counts["prompts rejected: no_room"] == 1


def test_nothing_of_others_is_in_an_example_and_nobody_is_learned_who_opted_out(
    kind: Kind,
) -> None:
    """A user's examples are the same whoever else there is."""
    own = person("u", "I saw a stork by the road", "I met a wolf in the wood")
    other = person("v", "She sang in the rain", "She danced on the roof")
    out = Profile(user_id="w", opt_out=True, interactions=other.interactions)
    alone = corpus_of(own, kinds=(kind,))
    among = corpus_of(out, other, own, kinds=(kind,))

    assert [p.user_id for p in among.authors].count("w") == 0
    row = [p.user_id for p in among.authors].index("u")
    texts = [text for text in among.texts if text.author == row]
    made = {(e.prompt_ids, e.target_ids) for e in maker_of(among, kind).make(texts)}
    assert made == {(e.prompt_ids, e.target_ids) for e in maker_of(alone, kind).make(alone.texts)}


def test_what_was_said_before_is_neither_learned_nor_shown(kind: Kind) -> None:
    """A target that stands in its own prompt would teach copying."""
    corpus = corpus_of(
        person("u", "I saw a stork by the road", "I met a wolf", "i saw a stork by the road!"),
        kinds=(kind,),
    )

    assert [i.text for i in corpus.authors[0].interactions] == [
        "I saw a stork by the road",
        "I met a wolf",
    ]
    assert corpus.counts["near-duplicates"] == 1


def test_short_texts_other_languages_and_texts_over_the_cap_are_left_out(kind: Kind) -> None:
    """Each with its count; a short text is shown as history all the same."""
    german = Profile(
        user_id="g", language="de", interactions=(Interaction(text="Guten Morgen zusammen"),)
    )
    texts = ["yes", *[f"number {n} of many things {n * 7919}" for n in range(9)]]
    corpus = corpus_of(
        person("u", *texts),
        german,
        kinds=(kind,),
        min_words=3,
        max_user_texts=4,
        max_similarity=1.0,
    )

    assert [text.place for text in corpus.texts] == [6, 7, 8, 9]
    assert len(corpus.authors) == 1
    assert corpus.counts["short texts"] == 1
    assert corpus.counts["users of another language"] == 1
    assert corpus.counts["texts over the cap of a user"] == 5


def test_an_item_is_the_subject_of_what_was_written_about_it() -> None:
    """A blurb is learned from texts about items alone."""
    blurb = load_kinds()["blurb"]
    item = Item(item_id="i", title="The Night Bus", description="A novel about a bus.")
    corpus = corpus_of(
        person("u", "It made me miss my own stop", item_id="i"),
        person("v", "Nothing about anything here"),
        kinds=(blurb,),
    )
    (example,) = maker_of(corpus, blurb, items=(item,)).make(corpus.texts)

    assert "Item: The Night Bus" in read(example.prompt_ids)
    assert read(example.target_ids).startswith(" It made me miss")


def test_a_reply_answers_the_message_before_it_in_its_thread() -> None:
    """The one who asked is the user, the one who answered the voice; later turns are unknown."""
    reply = load_kinds()["reply"]
    asked = Interaction(text="My lamp flickers", kind="customer", thread_id="t", created_at=DAY)
    answered = Interaction(
        text="You can have another lamp",
        kind="agent_reply",
        thread_id="t",
        created_at=DAY + timedelta(hours=1),
    )
    later = Interaction(
        text="Splendid, it works",
        kind="customer",
        thread_id="t",
        created_at=DAY + timedelta(days=1),
    )
    corpus = corpus_of(
        Profile(user_id="customer", language="en", interactions=(asked, later)),
        Profile(user_id="agent", language="en", interactions=(answered,)),
        kinds=(reply,),
    )
    maker = maker_of(corpus, reply)
    agent = [p.user_id for p in corpus.authors].index("agent")
    (text,) = [text for text in corpus.texts if text.author == agent]
    task = maker.task_of(text)
    (example,) = maker.make([text])

    assert task is not None
    assert (task.profile.user_id, task.voice.user_id) == ("customer", "agent")
    shown = read(example.prompt_ids)
    assert "Message: My lamp flickers\nTask: Be kind.\nReply:" in shown
    assert "Splendid" not in shown
    assert read(example.target_ids[:-1]) == " You can have another lamp"
    with pytest.raises(TrainingError, match="needs instructions"):
        check_kinds([reply], None)


def test_a_swap_changes_the_history_and_nothing_else(kind: Kind) -> None:
    """One target, four prompts: own, at random, nearest, none."""
    sea = (
        "The boat sails on the salty sea",
        "Waves and fog, no harbour",
        "A yacht, a gull, a wave",
    )
    more = ("Fog over the harbour tonight", "That gull stole my boat ticket")
    bread = ("Knead the dough and bake it", "Rye, salt and patience")
    corpus = corpus_of(person("u", *sea), person("v", *more), person("w", *bread), kinds=(kind,))
    row = [p.user_id for p in corpus.authors].index("u")
    last = [text for text in corpus.texts if text.author == row][-1]
    (swap,) = make_swaps(maker_of(corpus, kind), corpus, [last], most=9, seed=0)

    assert len({example.target_ids for example in swap.examples.values()}) == 1
    shown = {history: read(example.prompt_ids) for history, example in swap.examples.items()}
    assert len({text.rsplit("On ", 1)[1] for text in shown.values()}) == 1
    assert sea[0] in shown[History.OWN]
    assert any(text in shown[History.OTHER_NEAREST] for text in more)
    assert "Post: " not in shown[History.NONE].removesuffix("Post:")
    assert (swap.tier, swap.examples[History.NONE].tier) == ("1-4", "0")


def test_of_many_users_those_are_learned_from_whose_digests_are_lowest(kind: Kind) -> None:
    """The choice depends on seed and ids: not on the order in which users come."""
    people = [person(f"u{n}", f"I saw {n} storks by the road {n * 7919}") for n in range(30)]
    some, again = (
        corpus_of(*order, kinds=(kind,), max_users=5, max_similarity=1.0)
        for order in (people, people[::-1])
    )
    every = corpus_of(*people, kinds=(kind,), max_similarity=1.0)

    chosen = [p.user_id for p in some.authors]
    assert chosen == [p.user_id for p in again.authors]
    assert chosen == [p.user_id for p in every.authors][:5]
