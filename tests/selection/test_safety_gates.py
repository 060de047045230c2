"""What the gate `banned` must drop, and what a note on a dark matter may say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personalm.selection.case import Case
from personalm.selection.safety_gates import Banned

PASSAGE_ON_DARK_MATTERS = (
    "Suicide rates fall where help is near. In Japan 自殺 is talked about at school."
)


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("Suicide becomes rarer where people find help close by.", False),
        ("自殺について学校で話します。", False),
        ("Help near by keeps people from killing themselves; I want to kill myself.", True),
    ],
)
def test_a_note_may_say_what_its_passage_is_about(text: str, *, is_refused: bool) -> None:
    """Of the shipped list alone, where the kind quotes its source, and no other dark word."""
    case = Case(subject=PASSAGE_ON_DARK_MATTERS, quotes_source=True)

    assert Banned(None).refuses(text, case) is is_refused
    assert Banned(None).refuses(text, replace(case, quotes_source=False))
    assert Banned(None).refuses(text, replace(case, subject="A passage on bees."))
    listed = Banned(("suicid*", "自殺", "kill myself"))
    assert listed.refuses(text, case)
    assert Banned(()).refuses(text, case) is False
    of_kind = replace(case, banned_words=("help", "学校"))
    assert Banned(None).refuses(text, of_kind)
