"""The values that a template can name, as plain text, numbers, lists and mappings.

A value that is missing is an empty text or list, never None. Facts are the extra columns of a
table; one that is missing has no entry (`item.facts.author | default("")`).
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.prompting.budget import Material
    from personalm.records import Fact, Task

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value]"
Context: TypeAlias = dict[str, Value]


MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
"""Methods of mappings that a template may call, where no column has the name."""


class _AnyFact(dict[str, "Value"]):
    """Facts of the trial run of a template: every column exists."""

    def __contains__(self, name: object) -> bool:
        return name not in MAPPING_METHODS

    def __missing__(self, name: str) -> str:
        return f"some {name}"


def build_context(task: Task, material: Material) -> Context:
    """Return what the template of a task may show; `material` is what may be left out of it."""
    request, profile, item = task.request, task.profile, task.request.item
    return {
        "kind": request.kind,
        "tier": task.tier,
        "voice": task.voice.name or "",
        "user": {
            "name": profile.name or "",
            "language": task.language,
            "traits": list(profile.traits),
            "facts": _facts(profile.facts),
        },
        "item": {
            "title": item.title if item else "",
            "description": material.description,
            "facts": _facts(item.facts) if item else {},
        },
        "request": {"facts": _facts(request.facts)},
        "subject": material.subject,
        "instructions": request.instructions or "",
        "thread": [{"text": turn.text, "own": turn.own} for turn in material.thread],
        "examples": list(material.examples),
        "samples": list(material.samples),
    }


def _facts(facts: Mapping[str, Fact]) -> dict[str, Value]:
    return {name: _plain(fact) for name, fact in facts.items() if not _is_missing(fact)}


def _plain(fact: Fact) -> Value:
    if isinstance(fact, datetime):
        return fact.isoformat(sep=" ", timespec="minutes")
    return list(fact) if isinstance(fact, tuple) else fact


def _is_missing(fact: Fact) -> bool:
    return isinstance(fact, float) and math.isnan(fact)


FULL_CONTEXT: Context = {
    "kind": "post",
    "tier": "20+",
    "voice": "Ada",
    "user": {"name": "Ada", "language": "en", "traits": ["curious", "brief"], "facts": _AnyFact()},
    "item": {"title": "A Title", "description": "A description.", "facts": _AnyFact()},
    "request": {"facts": _AnyFact()},
    "subject": "a subject",
    "instructions": "Some instructions.",
    "thread": [{"text": "A question.", "own": True}, {"text": "An answer.", "own": False}],
    "examples": ["A text about the subject.", "Another one."],
    "samples": ["A text of the user's own.", "Another one."],
}
"""Made-up values, all present: for the trial of a template."""

BARE_CONTEXT: Context = {
    "kind": "post",
    "tier": "0",
    "voice": "",
    "user": {"name": "", "language": "en", "traits": [], "facts": {}},
    "item": {"title": "", "description": "", "facts": {}},
    "request": {"facts": {}},
    "subject": "a subject",
    "instructions": "",
    "thread": [],
    "examples": [],
    "samples": [],
}
"""Made-up values, all missing that may be."""
