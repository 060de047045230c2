"""Laws of prompts."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.kinds import FrontMatter, Kind, load_kinds
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import (
    Fact,
    Interaction,
    Item,
    Profile,
    Prompt,
    Reason,
    Rejection,
    Request,
    Stage,
    Task,
    Turn,
)
from personalm.settings import Generation, Prompting

_SOURCE = """\
HEAD
{% for text in samples %}
Sample: {{ text | one_line }}
{% endfor %}
{% for text in examples %}
Example: {{ text | one_line }}
{% endfor %}
{% for turn in thread %}
{{ "Own" if turn.own else "Other" }}: {{ turn.text | one_line }}
{% endfor %}
{{ item.title }} {{ item.description }} {{ user.name }} {{ instructions }}
Subject: {{ subject | one_line }}
Post:
"""
_TEXTS = (
    "My kettle whistles in the key of B flat.",
    "Slugs ate the lettuces again, every single one.",
    "Two kettles and no tea: that is my kitchen.",
    "The choir sang too fast, as it always does.",
)


def _kind(source: str = _SOURCE, **front: Any) -> Kind:
    given: dict[str, Any] = {"subject": "topic", "max_new_tokens": 20, "gates": (), **front}
    return Kind(
        name="post", front=FrontMatter(**given), source=source, digest="d", path=Path("post.j2")
    )


def _prompter(kind: Kind | None = None, **changes: Any) -> Prompter:
    arguments: dict[str, Any] = {
        "kinds": {"post": kind or _kind()},
        "prompting": Prompting(num_topic_texts=1, num_style_texts=2),
        "generation": Generation(),
        "tokenizer": ByteTokenizer(),
        "max_positions": 2_000,
        "seed": 5,
    }
    return Prompter(**{**arguments, **changes})


def _profile(*texts: str, user_id: str = "u1", kind: str | None = None) -> Profile:
    return Profile(
        user_id=user_id,
        name="Ada",
        interactions=tuple(Interaction(text=text, kind=kind) for text in texts),
    )


def _task(*texts: str, subject: str = "a kettle", **changes: Any) -> Task:
    profile = _profile(*texts)
    task = Task(
        request=Request(user_id="u1", kind="post", subject_id="s", subject=subject, request_id="r"),
        profile=profile,
        voice=profile,
        tier="1-4",
        language="en",
        fingerprint="f",
    )
    return replace(task, **changes)


def _prompt(task: Task, prompter: Prompter | None = None) -> Prompt:
    prompt = (prompter or _prompter()).prompt(task, batch="b/0")
    assert isinstance(prompt, Prompt)
    return prompt


def _rejection(task: Task, prompter: Prompter) -> Rejection:
    rejection = prompter.prompt(task, batch="b/0")
    assert isinstance(rejection, Rejection)
    assert (rejection.stage, rejection.key, rejection.request_id) == (
        Stage.PROMPTING,
        task.request.key,
        "r",
    )
    assert rejection.fingerprint == task.fingerprint
    return rejection


def test_a_prompt_shows_texts_on_the_topic_and_samples_of_the_style() -> None:
    """No text is shown twice, and what is shown is told."""
    prompt = _prompt(_task(*_TEXTS))

    assert "Example: Two kettles" in prompt.text or "Example: My kettle" in prompt.text
    assert prompt.text.count("Sample: ") == 2
    assert len(prompt.shown) == len(set(prompt.shown)) == 3
    assert all(text in prompt.text for text in prompt.shown)
    assert prompt.text.endswith("Subject: a kettle\nPost:")
    assert prompt.token_ids == tuple(prompt.text.encode())


def test_a_prompt_carries_what_the_engine_needs() -> None:
    """The key, the seed, the batch and that it is the first draw."""
    prompt = _prompter().prompt(_task(), batch="u/1")

    assert isinstance(prompt, Prompt)
    assert (prompt.key, prompt.seed, prompt.batch, prompt.draw) == (
        _task().request.key,
        5,
        "u/1",
        0,
    )


def test_the_settings_win_over_the_template_where_they_say_something() -> None:
    """`0` is something; greedy drawing has one candidate."""
    kind = _kind(temperature=0.7, top_k=40, candidates=6, stop=("\n",))
    plain = _prompt(_task(), _prompter(kind))
    greedy = _prompt(
        _task(),
        _prompter(
            kind, generation=Generation(temperature=0.0, top_k=0, candidates=3, max_new_tokens=9)
        ),
    )
    many = _prompt(_task(), _prompter(kind, generation=Generation(candidates=3)))

    assert (plain.sampling.temperature, plain.sampling.top_k, plain.num_candidates) == (0.7, 40, 6)
    assert (greedy.sampling.temperature, greedy.sampling.top_k, greedy.num_candidates) == (
        0.0,
        0,
        1,
    )
    assert (greedy.sampling.max_new_tokens, greedy.sampling.stop, many.num_candidates) == (
        9,
        ("\n",),
        3,
    )


def test_the_style_is_that_of_the_voice_in_its_kinds_of_texts() -> None:
    """A brand's agent lends the style, by the replies and not by other writing."""
    voice = _profile("Dear you, the kettle is on its way.", user_id="v", kind="reply")
    other = _profile("An agent writes a private poem on kettles.", user_id="v", kind="poem")
    both = replace(voice, interactions=voice.interactions + other.interactions)

    prompt = _prompt(_task(*_TEXTS, voice=both), _prompter(_kind(voice_kinds=("reply",))))
    fallback = _prompt(_task(*_TEXTS, voice=other), _prompter(_kind(voice_kinds=("reply",))))

    assert prompt.shown == ("Dear you, the kettle is on its way.",)
    assert fallback.shown == ("An agent writes a private poem on kettles.",)


def test_a_text_that_is_the_subject_or_a_turn_is_not_shown_as_history() -> None:
    """It would be copied; and the incoming message is no earlier turn."""
    thread = (Turn(text=_TEXTS[0], own=True), Turn(text=_TEXTS[2], own=False))

    prompt = _prompt(_task(*_TEXTS, subject=_TEXTS[2], thread=thread))

    assert set(prompt.shown) == {_TEXTS[1], _TEXTS[3]}
    assert prompt.text.count(_TEXTS[2]) == 1
    assert f"Own: {_TEXTS[0]}" in prompt.text


def test_the_history_shows_nothing_of_the_conversation_that_is_answered() -> None:
    """Its earlier turns are shown as such; its later ones may hold the very answer."""
    answer = "The kettle is on its way to you."
    agent = Profile(
        user_id="a",
        interactions=(
            Interaction(text=answer, thread_id="t"),
            Interaction(text="The kettle of another customer.", thread_id="other"),
            Interaction(text="A kettle in no conversation."),
        ),
    )
    request = Request(user_id="u1", kind="post", subject_id="s", subject="kettle?", thread_id="t")

    prompt = _prompt(_task(voice=agent, request=request))

    assert set(prompt.shown) == {"The kettle of another customer.", "A kettle in no conversation."}
    assert answer not in prompt.text


def test_a_long_text_of_the_history_is_cut_at_a_sentence() -> None:
    """The settings say how much of one text is shown."""
    long = "This sentence is about slugs and snails. " * 30

    (shown,) = _prompt(_task(long)).shown

    assert len(shown) <= 400
    assert shown.endswith("snails.")


def test_a_long_subject_is_cut_at_a_sentence_where_the_settings_say_so() -> None:
    """What is left out is counted; without a limit the model's room is one."""
    long = "This sentence is about slugs and snails. " * 30
    limited = Prompting(num_topic_texts=1, num_style_texts=2, max_subject_chars=100)

    whole = _prompt(_task(subject=long))
    short = _prompt(_task(subject=long), _prompter(prompting=limited))

    assert (whole.text.count("slugs"), whole.num_cut_tokens) == (30, 0)
    assert short.text.endswith("snails. This sentence is about slugs and snails.\nPost:")
    assert (short.text.count("slugs"), short.num_cut_tokens > 0) == (2, True)


def test_history_gives_way_and_is_counted() -> None:
    """Instruction, subject and cue survive in a small model."""
    whole = len(_prompt(_task(*_TEXTS)).token_ids)
    prompt = _prompt(_task(*_TEXTS), _prompter(max_positions=whole + 20 - 1))

    assert (prompt.num_trimmed, len(prompt.shown), prompt.num_cut_tokens) == (1, 2, 0)
    assert prompt.text.endswith("Subject: a kettle\nPost:")
    assert all(text in prompt.text for text in prompt.shown)


def test_a_long_subject_is_cut_and_counted() -> None:
    """A note on a long passage is written on the start of it."""
    subject = "The passage goes on and on about stamps. " * 100

    prompt = _prompt(_task(*_TEXTS, subject=subject), _prompter(max_positions=500))

    assert prompt.shown == ()
    assert prompt.num_trimmed == 2
    assert prompt.text.endswith("stamps.\nPost:")
    assert len(prompt.token_ids) + 20 <= 500
    assert prompt.num_cut_tokens == pytest.approx(
        len(subject) - prompt.text.count("The passage") * 41, abs=2
    )


def test_without_room_the_request_is_rejected() -> None:
    """Where new tokens leave nothing, or the fixed parts do not fit."""
    request = replace(_task().request, instructions="do this " * 500)

    for task, positions in ((_task(), 20), (_task(), 50), (_task(request=request), 500)):
        rejection = _rejection(task, _prompter(max_positions=positions))

        assert rejection.reason is Reason.NO_ROOM
        assert str(positions) in rejection.message


def test_a_prompt_starts_with_what_the_model_must_see_first() -> None:
    """The ids count as used room."""
    prompter = _prompter(tokenizer=ByteTokenizer(prefix_ids=(256, 257)))

    assert _prompt(_task(), prompter).token_ids[:3] == (256, 257, ord("H"))


def test_the_head_is_what_every_prompt_of_a_kind_starts_with() -> None:
    """It ends before the first tag, is whole tokens, and never reaches into what a user wrote."""
    kind = _kind("Short posts.\n\n{% for t in samples %}{{ t }} {% endfor %}{{ subject }}")
    prompter = _prompter(kind)
    prompts = [_prompt(_task(subject=subject), prompter) for subject in ("a kettle", "Short")]

    for prompt in prompts:
        assert prompt.num_head_tokens == len("Short posts.")
    assert prompts[0].token_ids[:12] == prompts[1].token_ids[:12]
    assert _prompt(_task(subject="x"), _prompter(_kind("{{ subject }}"))).num_head_tokens == 0


def test_an_empty_prompt_starts_from_the_models_own_token_or_is_rejected() -> None:
    """A template may leave everything to the model."""
    empty = _kind("{{ instructions }}")
    started = _prompter(empty, tokenizer=ByteTokenizer(prefix_ids=(256,)))

    assert _prompt(_task(), started).token_ids == (256,)
    assert _rejection(_task(), _prompter(empty)).reason is Reason.RENDER_FAILED


def test_missing_values_are_empty_and_never_the_word_none() -> None:
    """Nobody is called None, and no number is nan."""
    source = (
        "{{ user.name }}{{ user.traits | join }}{{ item.title }}{{ item.description }}"
        "{{ voice }}{{ instructions }}{{ item.facts | length }}."
    )
    profile = Profile(user_id="u1")
    item = Item(item_id="i", title="T", facts={"price": math.nan})
    request = Request(user_id="u1", kind="post", subject_id="s", item=item)

    prompt = _prompt(
        _task(profile=profile, voice=profile, request=request), _prompter(_kind(source))
    )

    assert prompt.text == "T0."


def test_facts_of_every_type_can_be_shown() -> None:
    """Texts, numbers, truth, times and lists."""
    facts: dict[str, Fact] = {
        "a": "x",
        "b": 3,
        "c": 2.5,
        "d": True,
        "e": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "f": ("p", "q"),
    }
    source = "{{ item.facts.values() | list }}{{ request.facts.g | default('') }}"
    request = Request(
        user_id="u1",
        kind="post",
        subject_id="s",
        item=Item(item_id="i", title="T", facts=facts),
        facts={"g": "own"},
    )

    text = _prompt(_task(request=request), _prompter(_kind(source))).text

    assert text == "['x', 3, 2.5, True, '2024-05-01 12:00+00:00', ['p', 'q']]own"


def test_an_error_in_one_row_costs_that_row_only() -> None:
    """The reason names the class of the error and no text of the user."""

    class Failing(ByteTokenizer):
        def encode(self, text: str) -> list[int]:
            if "poison" in text:
                raise ZeroDivisionError(text)
            return super().encode(text)

    prompter = _prompter(tokenizer=Failing())
    rejection = _rejection(_task(subject="poison"), prompter)

    assert rejection.reason is Reason.PROMPTING_FAILED
    assert "ZeroDivisionError" in rejection.message
    assert "poison" not in rejection.message
    assert _prompt(_task(), prompter) == _prompt(_task())


def test_a_template_that_fails_for_a_row_costs_that_row_only() -> None:
    """Its trial could not know the values."""
    kind = _kind("{{ subject }}{{ samples[3] if subject == 'odd' }}")

    assert _rejection(_task(subject="odd"), _prompter(kind)).reason is Reason.RENDER_FAILED
    assert _prompt(_task(), _prompter(kind)).text == "a kettle"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6), st.text(max_size=60))
def test_any_user_gets_the_same_prompt_each_time(texts: list[str], subject: str) -> None:
    """Whatever is typed, it fits and depends on this task alone."""
    prompter = _prompter(max_positions=600)
    task = _task(*texts, subject=subject)
    first = prompter.prompt(task, batch="b/0")
    prompter.prompt(_task("{{ x }}", subject="{% y %}"), batch="b/0")

    assert (
        first
        == prompter.prompt(task, batch="b/0")
        == _prompter(max_positions=600).prompt(task, batch="b/0")
    )
    assert isinstance(first, Prompt)
    assert len(first.token_ids) <= 580


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "é" * 1_000_000, "word " * 200_000, "\n" * 1_000_000 + "x"]
)
def test_the_time_of_a_row_is_bounded(text: str) -> None:
    """A megabyte in any field is cut before it is tokenised."""
    request = Request(
        user_id="u1",
        kind="post",
        subject_id="s",
        subject=text,
        item=Item(item_id="i", title="t", description=text),
    )
    task = _task(text, *_TEXTS, request=request, thread=(Turn(text=text, own=True),) * 100)
    longest = 0

    class Measuring(ByteTokenizer):
        def encode(self, text: str) -> list[int]:
            nonlocal longest
            longest = max(longest, len(text))
            return super().encode(text)

    start = time.perf_counter()
    prompt = _prompt(task, _prompter(tokenizer=Measuring()))

    assert time.perf_counter() - start < 2.0
    assert longest <= 100_000
    assert prompt.num_cut_tokens > 0


def test_the_shipped_templates_serve_every_tier() -> None:
    """With no history at all, and with much."""
    kinds = load_kinds()
    prompter = _prompter(kinds=kinds, max_positions=8_000)
    for kind in ("blurb", "post", "note", "reply"):
        for texts in ((), _TEXTS, _TEXTS * 30):
            item = Item(
                item_id="i", title="Red Kite", facts={"maker": "Pell", "price": 3.5, "tags": ("a",)}
            )
            request = Request(
                user_id="u1",
                kind=kind,
                subject_id="s",
                subject="a kite",
                item=item,
                instructions="be kind",
            )
            prompt = _prompt(_task(*texts, request=request), prompter)

            assert prompt.text.endswith(":")
            assert "None" not in prompt.text
