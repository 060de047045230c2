"""Laws of fingerprints."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from personalm.planning.fingerprints import fingerprint_of, profile_digest
from personalm.records import Interaction, Item, ModelCard, Profile, Request, Turn

_REQUEST = Request(
    user_id="u1",
    kind="post",
    subject_id="i1",
    subject="kites",
    item=Item(item_id="i1", title="Kite", facts={"price": 3.5, "year": 2020}),
    instructions="be brief",
    voice_id="v1",
    request_id="r1",
)
_CARD = ModelCard(name="m", digest="d", max_positions=64, languages=("en",))
_GIVEN: dict[str, Any] = {
    "request": _REQUEST,
    "profile": "p",
    "voice": "v",
    "language": "en",
    "thread": (Turn(text="hello", own=True),),
    "kind": "k",
    "model": _CARD,
    "settings_digest": "s",
}
_PROFILE = Profile(
    user_id="u1",
    name="Ada",
    language="en",
    traits=("curious",),
    facts={"city": "Delft"},
    interactions=(
        Interaction(
            text="hi",
            kind="chat",
            item_id="i",
            rating=2.0,
            created_at=datetime(2024, 5, 1, tzinfo=UTC),
        ),
    ),
)


@pytest.mark.parametrize(
    "changed",
    [
        {"request": replace(_REQUEST, subject="dragons")},
        {"request": replace(_REQUEST, instructions=None)},
        {"request": replace(_REQUEST, voice_id=None)},
        {"request": replace(_REQUEST, item=None)},
        {
            "request": replace(
                _REQUEST, item=replace(_REQUEST.item or Item(item_id="", title=""), facts={})
            )
        },
        {"request": replace(_REQUEST, facts={"campaign": "spring"})},
        {"profile": "other"},
        {"voice": None},
        {"language": "nl"},
        {"thread": ()},
        {"thread": (Turn(text="hello", own=False),)},
        {"kind": None},
        {"model": replace(_CARD, digest="other")},
        {"model": replace(_CARD, adapter="a")},
        {"model": replace(_CARD, languages=None)},
        {"settings_digest": "other"},
    ],
)
def test_what_decides_a_text_changes_its_fingerprint(changed: dict[str, Any]) -> None:
    """One changed input is enough."""
    assert fingerprint_of(**_GIVEN) != fingerprint_of(**{**_GIVEN, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"request": replace(_REQUEST, request_id="r2")},
        {
            "request": replace(
                _REQUEST, item=Item(item_id="i1", title="Kite", facts={"year": 2020, "price": 3.5})
            )
        },
    ],
)
def test_what_decides_no_text_leaves_the_fingerprint(changed: dict[str, Any]) -> None:
    """Neither the id of a request nor the order of columns matters."""
    assert fingerprint_of(**_GIVEN) == fingerprint_of(**{**_GIVEN, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        replace(_PROFILE, name=None),
        replace(_PROFILE, language=None),
        replace(_PROFILE, traits=()),
        replace(_PROFILE, facts={}),
        replace(_PROFILE, interactions=()),
        replace(_PROFILE, interactions=(replace(_PROFILE.interactions[0], text="ho"),)),
        replace(_PROFILE, interactions=(replace(_PROFILE.interactions[0], kind=None),)),
        replace(_PROFILE, interactions=(replace(_PROFILE.interactions[0], rating=3.0),)),
        replace(_PROFILE, interactions=(replace(_PROFILE.interactions[0], created_at=None),)),
    ],
)
def test_a_changed_profile_has_another_digest(changed: Profile) -> None:
    """All that a prompt can show of a user counts."""
    assert profile_digest(_PROFILE) != profile_digest(changed)


def test_a_profile_row_that_was_only_touched_has_the_same_digest() -> None:
    """The time of its last update changes no text."""
    touched = replace(_PROFILE, updated_at=datetime(2025, 1, 1, tzinfo=UTC))

    assert profile_digest(_PROFILE) == profile_digest(touched)
