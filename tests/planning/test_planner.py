"""Laws of plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.accounts import Label, LiveRow
from personalm.errors import SettingsError
from personalm.hashing import subject_id_of
from personalm.kinds import FrontMatter, Kind
from personalm.planning.catalogue import Catalogue
from personalm.planning.planner import Planner
from personalm.records import (
    Interaction,
    Item,
    Key,
    ModelCard,
    Profile,
    Reason,
    Rejection,
    Request,
    Stage,
    Task,
    Turn,
    UserInputs,
)
from personalm.settings import Generation, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.planning.ledger import Plan

_ITEMS = (
    Item(item_id="kite", title="Red Kite", description="A kite for strong wind."),
    Item(item_id="mill", title="The Mill", description="A book on windmills."),
)


def _kind(name: str, subject: Literal["item", "topic", "given"], **front: Any) -> Kind:
    return Kind(
        name=name,
        front=FrontMatter(subject=subject, max_new_tokens=10, gates=(), **front),
        source="",
        digest=f"digest of {name}",
        path=Path(f"{name}.j2"),
    )


_KINDS = {
    kind.name: kind
    for kind in (
        _kind("blurb", "item"),
        _kind("post", "topic"),
        _kind("note", "given", languages=("en", "nl")),
        _kind("reply", "given", needs=("instructions", "thread", "voice")),
    )
}
_CARD = ModelCard(name="tiny", digest="d", max_positions=64, languages=("en", "nl", "de"))


def _planner(**changes: Any) -> Planner:
    arguments: dict[str, Any] = {
        "kinds": _KINDS,
        "derived_kinds": ("post",),
        "catalogue": Catalogue(()),
        "model": _CARD,
        "settings": Settings(generation=Generation(unit_tokens=80)),
        "settings_digest": "s",
        "detect_language": lambda _: "en",
    }
    return Planner(**{**arguments, **changes})


def _user(user_id: str, *texts: str, **profile: Any) -> UserInputs:
    interactions = tuple(Interaction(text=text) for text in texts)
    return UserInputs(profile=Profile(user_id=user_id, interactions=interactions, **profile))


_CHATTY = ("the kettle is on", "a new kettle", "my kettle is dead")


def _ask(user: UserInputs, kind: str, **request: Any) -> UserInputs:
    subject, instructions = request.get("subject"), request.get("instructions")
    asked = Request(
        user_id=user.profile.user_id,
        kind=kind,
        **{"subject_id": subject_id_of(subject or "", instructions), **request},
    )
    return replace(user, requests=(*user.requests, asked))


def _plan(users: Sequence[UserInputs], planner: Planner | None = None, **arguments: Any) -> Plan:
    given: dict[str, Any] = {"has_requests": True, "live": {}, **arguments}
    return (planner or _planner()).plan(7, users, **given)


def _tasks(plan: Plan) -> list[Task]:
    return [task for unit in plan.units for task in unit.tasks]


def _live(tasks: Sequence[Task]) -> dict[Key, LiveRow]:
    return {
        task.request.key: LiveRow(fingerprint=task.fingerprint, label=Label.of(task.request))
        for task in tasks
    }


def _published(plan: Plan) -> dict[Key, LiveRow]:
    """Return what is live after the plan was carried out."""
    rejections = (outcome.rejection for outcome in plan.rejected)
    return _live(_tasks(plan)) | {
        r.key: LiveRow(fingerprint=r.fingerprint, is_rejection=True, label=Label.of(r))
        for r in rejections
        if r is not None
    }


def _only_task(plan: Plan) -> Task:
    (task,) = _tasks(plan)
    return task


def _only_rejection(plan: Plan) -> Rejection:
    (outcome,) = plan.rejected
    assert outcome.rejection is not None
    assert outcome.rejection.stage is Stage.PLANNING
    return outcome.rejection


def test_without_a_requests_table_each_user_gets_each_derived_kind() -> None:
    """The subject is an item the user has not met, or a topic the user writes about."""
    users = [_user("a", *_CHATTY), _user("b", "hello", "yes")]
    planner = _planner(derived_kinds=("post", "blurb"), catalogue=Catalogue(_ITEMS))

    plan = _plan(users, planner, has_requests=False)

    assert plan.num_requests == 4
    assert all(task.request.item in _ITEMS for task in _tasks(plan))
    assert all(
        task.request.subject_id == task.request.item.item_id
        for task in _tasks(plan)
        if task.request.item
    )


def test_without_items_a_post_is_about_a_topic_of_the_users_own() -> None:
    """Where there is neither, the request is rejected and counted."""
    plan = _plan([_user("a", *_CHATTY), _user("b", "yes")], has_requests=False)

    task, rejection = _only_task(plan), _only_rejection(plan)
    assert (task.request.subject, task.request.item) == ("kettle", None)
    assert rejection.reason is Reason.NO_SUBJECT
    assert plan.num_requests == 2


def test_an_unknown_kind_is_rejected_with_the_known_ones() -> None:
    """The message lists what could have been asked for."""
    rejection = _only_rejection(_plan([_ask(_user("a"), "haiku", subject="x")]))

    assert rejection.reason is Reason.UNKNOWN_KIND
    assert all(name in rejection.message for name in _KINDS)


def test_a_derived_kind_without_template_is_refused_before_any_work() -> None:
    """A misspelt kind in the settings must not reject every user."""
    with pytest.raises(SettingsError, match="pots"):
        _planner(derived_kinds=("pots",))


@pytest.mark.parametrize(
    ("kind", "request_", "reason"),
    [
        ("blurb", {"subject_id": "no such item"}, Reason.UNKNOWN_ITEM),
        ("note", {}, Reason.MISSING_INPUT),
        ("note", {"subject": "  "}, Reason.MISSING_INPUT),
        ("reply", {"subject": "hi"}, Reason.MISSING_INPUT),
        ("reply", {"subject": "hi", "instructions": "x", "voice_id": "v"}, Reason.MISSING_INPUT),
        ("note", {"subject": "text", "voice_id": "nobody"}, Reason.UNKNOWN_VOICE),
        ("blurb", {}, Reason.NO_SUBJECT),
    ],
)
def test_what_cannot_be_served_is_rejected_with_its_reason(
    kind: str, request_: dict[str, str], reason: Reason
) -> None:
    """Nothing is dropped in silence, and no message quotes the user."""
    asked = _ask(_user("secret-id", "secret text"), kind, **request_)
    rejection = _only_rejection(_plan([asked]))

    assert rejection.reason is reason
    assert "secret" not in rejection.message
    assert rejection.key == asked.requests[0].key


def test_an_item_is_found_by_the_subject_id() -> None:
    """Its title is the subject where the request brings none."""
    planner = _planner(catalogue=Catalogue(_ITEMS))
    users = [
        _ask(_user("a"), "blurb", subject_id="kite"),
        _ask(_user("b"), "post", subject_id="mill", subject="a day out"),
    ]

    tasks = {task.request.user_id: task.request for task in _tasks(_plan(users, planner))}

    assert (tasks["a"].item, tasks["a"].subject) == (_ITEMS[0], "Red Kite")
    assert (tasks["b"].item, tasks["b"].subject) == (_ITEMS[1], "a day out")


def test_a_request_that_names_nothing_is_served_under_its_own_key() -> None:
    """The subject is chosen as for a derived request."""
    asked = _ask(_user("a", "windmills and a mill"), "blurb")
    task = _only_task(_plan([asked], _planner(catalogue=Catalogue(_ITEMS))))

    assert task.request.item == _ITEMS[1]
    assert task.request.key == asked.requests[0].key


def test_a_reply_has_the_voice_and_the_thread_it_names() -> None:
    """The voice is another profile; the tier is that of the user."""
    voice = _user("v", *["Dear you"] * 30).profile
    thread = (Turn(text="where is it?", own=True),)
    user = replace(_user("a", "hi"), voices={"v": voice}, threads={"t": thread})
    asked = _ask(user, "reply", subject="hm", instructions="say sorry", voice_id="v", thread_id="t")

    task = _only_task(_plan([asked]))

    assert (task.voice, task.thread, task.tier) == (voice, thread, "1-4")


_HI, _WHERE, _LOST = (Turn(text=text, own=True) for text in ("hi", "where is it?", "lost it"))
_HELLO, _SOON = (Turn(text=text, own=False) for text in ("hello", "soon"))


@pytest.mark.parametrize(
    ("turns", "subject", "earlier"),
    [
        ([_HI, _HELLO, _WHERE, _SOON], "where is it?", [_HI, _HELLO]),
        ([_HI, _HELLO, _WHERE, _SOON], "  where\nis it? ", [_HI, _HELLO]),
        ([_WHERE, _SOON, _WHERE, _SOON], "where is it?", [_WHERE, _SOON]),
        ([_HI, _WHERE, replace(_WHERE, own=False)], "where is it?", [_HI]),
        ([_HI, _HELLO, _SOON], "hello", [_HI]),
        ([_HI, _HELLO], "a message of no table", [_HI, _HELLO]),
        ([_WHERE], "where is it?", []),
    ],
    ids=["cut", "spaces", "said-twice", "echoed", "other-side", "not-there", "first"],
)
def test_a_thread_ends_before_the_message_that_is_answered(
    turns: list[Turn], subject: str, earlier: list[Turn]
) -> None:
    """What was said later is not known yet; it changes neither the prompt nor the fingerprint."""

    def plan(thread: list[Turn]) -> Task:
        voice = _user("v", "Dear you").profile
        user = replace(_user("a"), voices={"v": voice}, threads={"t": tuple(thread)})
        kinds = {"reply": _kind("reply", "given")}
        asked = _ask(user, "reply", subject=subject, voice_id="v", thread_id="t")
        return _only_task(_plan([asked], _planner(kinds=kinds, derived_kinds=())))

    task = plan(turns)

    assert list(task.thread) == earlier
    if len(earlier) < len(turns):
        assert plan([*turns, _LOST]).fingerprint == task.fingerprint
    assert plan([_LOST, *turns]).fingerprint != task.fingerprint


def test_a_voice_that_opted_out_is_no_voice() -> None:
    """Nobody's writing is a model for others against that person's will."""
    voice = replace(_user("v", "Dear you").profile, opt_out=True)
    user = replace(_user("a"), voices={"v": voice})
    asked = _ask(user, "note", subject="text", voice_id="v")

    assert _only_rejection(_plan([asked])).reason is Reason.UNKNOWN_VOICE


@pytest.mark.parametrize("language", ["nl", "NL", "nl-BE", None])
def test_a_language_is_normalised_or_found_in_the_texts(language: str | None) -> None:
    """The profile wins over the texts."""
    asked = _ask(_user("a", language=language), "note", subject="text")

    task = _only_task(_plan([asked], _planner(detect_language=lambda _: "nl")))

    assert task.language == "nl"


@pytest.mark.parametrize("language", ["ja", "de"])
def test_a_language_that_is_not_written_is_rejected_with_both_lists(language: str) -> None:
    """What the model or the template cannot write is not tried."""
    rejection = _only_rejection(_plan([_ask(_user("a", language=language), "note", subject="x")]))

    assert rejection.reason is Reason.LANGUAGE_NOT_SUPPORTED
    assert "de, en, nl" in rejection.message
    assert "note writes en, nl" in rejection.message


@pytest.mark.parametrize("subject", [None, "x"])
@pytest.mark.parametrize("has_requests", [True, False])
def test_the_language_is_the_first_reason(*, has_requests: bool, subject: str | None) -> None:
    """Whether there is a subject or not: another one would not help a user of this language."""
    user = _user("a", language="ja")
    asked = _ask(user, "note", subject=subject) if has_requests else user

    rejection = _only_rejection(_plan([asked], has_requests=has_requests))

    assert rejection.reason is Reason.LANGUAGE_NOT_SUPPORTED


def test_a_model_that_names_no_languages_writes_all() -> None:
    """Only what is declared limits."""
    planner = _planner(model=replace(_CARD, languages=None))

    assert _tasks(_plan([_ask(_user("a", language="ja"), "post", subject="x")], planner))


def test_an_opted_out_user_gets_nothing_and_is_counted() -> None:
    """With requests or without; what is live of the user is withdrawn, unchanged or not."""
    asked = _ask(_user("a", *_CHATTY), "post", subject="x")
    task = _only_task(_plan([asked]))
    out = replace(asked, profile=replace(asked.profile, opt_out=True))

    for has_requests in (True, False):
        plan = _plan([out], has_requests=has_requests, live=_live([task]))

        assert (plan.units, plan.rejected, plan.unchanged) == ((), (), ())
        assert len(plan.opted_out) == plan.num_requests == 1
        assert plan.withdrawn == {task.request.key}
    assert isinstance(_planner().task_for(out, out.requests[0]), Rejection)


def test_what_is_live_with_the_same_fingerprint_is_unchanged() -> None:
    """Rejections too, until their inputs change."""
    users = [
        _ask(_user("a", *_CHATTY), "post", subject="x"),
        _ask(_user("b"), "note", subject="text", voice_id="nobody"),
    ]
    first = _plan(users)
    live = _published(first)

    again = _plan(users, live=live)
    changed = _plan([users[0], replace(users[1], voices={"nobody": users[0].profile})], live=live)

    assert (again.units, again.rejected) == ((), ())
    assert set(again.unchanged) == set(live)
    assert _only_task(changed).request.user_id == "b"
    assert changed.unchanged == (
        Key(user_id="a", kind="post", subject_id=users[0].requests[0].subject_id),
    )


def test_a_kind_that_gets_a_template_is_tried_again() -> None:
    """A rejection is not unchanged for ever."""
    asked = _ask(_user("a"), "haiku", subject="x")
    rejection = _only_rejection(_plan([asked]))
    planner = _planner(kinds={**_KINDS, "haiku": _kind("haiku", "topic")})

    live = {rejection.key: LiveRow(fingerprint=rejection.fingerprint, is_rejection=True)}
    assert _tasks(_plan([asked], planner, live=live))


def test_units_hold_as_many_tokens_as_the_settings_say() -> None:
    """Candidates times new tokens, by the template, unless the settings say otherwise."""
    users = [_ask(_user(f"u{n}"), "post", subject="x") for n in range(10)]
    fewer = Settings(generation=Generation(unit_tokens=80, candidates=1, max_new_tokens=20))

    assert [len(unit.tasks) for unit in _plan(users).units] == [2] * 5
    assert [len(unit.tasks) for unit in _plan(users, _planner(settings=fewer)).units] == [4, 4, 2]


def test_greedy_drawing_counts_one_candidate_a_request() -> None:
    """A unit is no smaller for candidates that nobody draws."""
    users = [_ask(_user(f"u{n}"), "post", subject="x") for n in range(6)]

    def num_units(**generation: Any) -> int:
        given = Settings(generation=Generation(unit_tokens=80, max_new_tokens=20, **generation))
        return len(_plan(users, _planner(settings=given)).units)

    assert num_units(temperature=0.0, candidates=4) == num_units(candidates=1)
    assert num_units(temperature=0.0, candidates=4) < num_units(candidates=4)


def test_one_user_alone_is_planned_as_in_a_batch() -> None:
    """`derive` and `task_for` give the very task of the plan."""
    user = _user("a", *_CHATTY)
    planner = _planner()
    request = planner.derive(user, "post")

    assert isinstance(request, Request)
    assert planner.task_for(user, request) == _only_task(_plan([user], has_requests=False))
    assert isinstance(planner.derive(user, "haiku"), Rejection)


_POISON = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "{{ 7 * 7 }}",
            "{% for x in y %}",
            "a" * 50_000,
            "\u202eabc",
            "<|endoftext|>",
            "\x00",
            "Red Kite " * 500,
        ]
    ),
)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(_POISON, max_size=4), name=st.none() | _POISON, subject=st.none() | _POISON)
def test_one_poisoned_user_changes_nobody_elses_plan(
    texts: list[str], name: str | None, subject: str | None
) -> None:
    """All other tasks are equal, fingerprints and all, with the user and without."""
    others = [_ask(_user(f"u{n}", *_CHATTY), kind) for n in range(4) for kind in ("post", "blurb")]
    poisoned = _ask(_user("poison", *texts, name=name), "post", subject=subject)
    planner = _planner(catalogue=Catalogue(_ITEMS))

    def rows(plan: Plan) -> dict[Key, object]:
        found: dict[Key, object] = {task.request.key: task for task in _tasks(plan)}
        found |= {outcome.key: outcome for outcome in plan.rejected}
        return {key: row for key, row in found.items() if key.user_id != "poison"}

    assert rows(_plan(others, planner)) == rows(_plan([poisoned, *others], planner))
