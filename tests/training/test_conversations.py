"""Laws of conversations: a reply is learned to the message that it really followed, or to none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.kinds import load_kinds
from personalm.planning.catalogue import Catalogue
from personalm.records import Interaction, Profile, UserInputs
from personalm.settings import Training
from personalm.training.conversations import Attendance
from personalm.training.corpus import Corpus, gather_corpus
from personalm.training.examples import ExampleMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.records import Task

START = datetime(2025, 1, 1, tzinfo=UTC)
REPLY = load_kinds()["reply"]
THANKS = "Thank you so much for your help"


def talk(*turns: tuple[str, str], thread: str = "t", language: str = "en") -> list[Profile]:
    """Make the people of a thread from authors and texts, a minute apart; agents answer."""
    own: dict[str, list[Interaction]] = {}
    for minute, (author, text) in enumerate(turns):
        own.setdefault(author, []).append(
            Interaction(
                text=text,
                kind="agent_reply" if author == "agent" else "customer",
                thread_id=thread,
                created_at=START + timedelta(minutes=minute),
            )
        )
    return [
        Profile(user_id=name, language=language, interactions=tuple(texts))
        for name, texts in own.items()
    ]


def gather(people: Sequence[Profile], **given: Any) -> Corpus:
    """Gather the corpus of some people."""
    return gather_corpus(
        [UserInputs(profile=person) for person in people],
        kinds=(REPLY,),
        training=Training(min_words=1, max_users=given.pop("max_users", None)),
        languages=("en",),
        detect_language=lambda _: "en",
        seed=0,
        **given,
    )


def tasks_of(corpus: Corpus) -> dict[str, Task | None]:
    """Return the task of each text of the agent."""
    maker = ExampleMaker(
        corpus=corpus,
        kinds={"reply": REPLY},
        catalogue=Catalogue(()),
        prompts=None,  # type: ignore[arg-type]  # nothing is written here
        tokenizer=None,  # type: ignore[arg-type]  # the same
        endings={},
        instructions="Be kind.",
    )
    return {
        corpus.interaction(text).text: maker.task_of(text)
        for text in corpus.texts
        if corpus.authors[text.author].user_id == "agent"
    }


def test_a_message_that_was_said_before_is_answered_all_the_same() -> None:
    """It is no target, and it stays what the next text is a reply to."""
    earlier = talk(("someone", THANKS), thread="before")
    people = talk(
        ("customer", "Where is my parcel"),
        ("agent", "It waits at the harbour"),
        ("customer", f"{THANKS}!"),
        ("agent", "You are most welcome"),
    )
    people[0] = replace(
        people[0], interactions=tuple(later(each) for each in people[0].interactions)
    )
    people[1] = replace(
        people[1], interactions=tuple(later(each) for each in people[1].interactions)
    )
    corpus = gather([*earlier, *people])
    task = tasks_of(corpus)["You are most welcome"]

    assert corpus.counts["near-duplicates"] == 1
    assert task is not None
    assert task.request.subject == f"{THANKS}!"
    assert [turn.text for turn in task.thread] == ["Where is my parcel", "It waits at the harbour"]


def later(each: Interaction) -> Interaction:
    """Move a text to another day."""
    assert each.created_at is not None
    return replace(each, created_at=each.created_at + timedelta(days=1))


@pytest.mark.parametrize("reason", ["opted out", "another language", "not drawn", "spared"])
def test_what_follows_somebody_who_is_left_out_is_no_reply(reason: str) -> None:
    """The message before theirs was not what it answers; nor is the thread shown from before."""
    customer, agent, third = talk(
        ("customer", "Where is my parcel"),
        ("agent", "It waits at the harbour"),
        ("third", "Mine is lost as well"),
        ("agent", "We look for it at once"),
        ("customer", "And what about mine then"),
        ("agent", "Both are on their way"),
    )
    given: dict[str, Any] = {}
    if reason == "opted out":
        third = replace(third, opt_out=True)
    elif reason == "another language":
        third = replace(third, language="de")
    elif reason == "spared":
        given["spare"] = lambda user: replace(
            user, interactions=() if user.user_id == "third" else user.interactions
        )
    people: Sequence[Profile] = (customer, agent, third)
    if reason == "not drawn":
        third, people = last_drawn(customer, agent, third)
        given["max_users"] = 2
    found = tasks_of(gather(people, **given))

    answered = {text: task.request.subject for text, task in found.items() if task}
    assert answered == {
        "It waits at the harbour": "Where is my parcel",
        "Both are on their way": "And what about mine then",
    }
    after = found["Both are on their way"]
    assert after is not None
    assert [turn.text for turn in after.thread] == ["We look for it at once"]


def last_drawn(
    customer: Profile, agent: Profile, third: Profile
) -> tuple[Profile, tuple[Profile, ...]]:
    """Name the third of some people so that the two others are drawn before."""
    for number in range(100):
        named = replace(third, user_id=f"third-{number}")
        people = (customer, named, agent)
        drawn = gather(people, max_users=2).authors
        if {each.user_id for each in drawn} == {"customer", "agent"}:
            return named, people
    raise AssertionError("nobody comes last")


@given(
    turns=st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=12),
    left_out=st.sets(st.sampled_from("abcd")),
)
def test_an_answer_is_to_the_last_text_of_another_whoever_is_left_out(
    turns: list[tuple[str, bool]], left_out: set[str]
) -> None:
    """As if all were known, or there is none."""
    everybody = talk(*[(name, f"text {n} of {name}") for n, (name, _) in enumerate(turns)])
    known = [each for each in everybody if each.user_id not in left_out]
    attendance = Attendance()
    for _ in attendance.watch(everybody):
        pass
    conversations = attendance.converse(known)
    order = [(name, f"text {n} of {name}") for n, (name, _) in enumerate(turns)]

    for row, person in enumerate(known):
        for each in person.interactions:
            before = order[: order.index((person.user_id, each.text))]
            others = [turn for turn in before if turn[0] != person.user_id]
            found = conversations.before(row, each)
            if not others or others[-1][0] in left_out:
                assert found is None
                continue
            assert found is not None
            assert (found.asking.user_id, found.message) == others[-1]
            asked = before.index(others[-1])
            shown = [turn.text for turn in found.thread]
            assert shown == [text for _, text in before[asked - len(shown) : asked]]
