"""Users whom a caller hands over, without a table: read by the rules that the tables are read by.

It knows mappings and profiles; what the values mean is known to `personalm.records`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from personalm.errors import InputError
from personalm.inputs.ids import canonical_id
from personalm.inputs.texts import clean_text
from personalm.records import Interaction, Profile

if TYPE_CHECKING:
    from personalm.records import Fact
    from personalm.settings import Inputs

_FIELDS = frozenset({"user_id", "name", "language", "traits", "opt_out"})
_TEXTS = "texts"


def read_given(user: Mapping[Any, Any] | Profile, inputs: Inputs) -> Profile:
    """Return a user as the tables would give them.

    Texts have no half character and no NUL, they are cut at `inputs.max_text_chars`, and of very
    many the newest are used. Raises InputError for names that a mapping must not or has to have,
    and for texts that are none.
    """
    profile = user if isinstance(user, Profile) else _read(user)
    most = inputs.max_text_chars
    newest = profile.interactions[-inputs.max_user_interactions :]
    return replace(
        profile,
        name=None if profile.name is None else clean_text(profile.name, max_chars=most),
        traits=tuple(clean_text(trait, max_chars=most) for trait in profile.traits),
        facts={name: _clean(value, most) for name, value in profile.facts.items()},
        interactions=tuple(replace(i, text=clean_text(i.text, max_chars=most)) for i in newest),
    )


def read_text(name: str, value: object) -> str | None:
    """Return a text that a caller hands over, `None` for what pandas has for none.

    Raises InputError for anything else.
    """
    if _is_missing(value):
        return None
    if not isinstance(value, str):
        raise InputError(f"{name} is of type {type(value).__name__}, not text")
    return value


def _read(user: Mapping[Any, Any]) -> Profile:
    unknown = {str(name) for name in user} - _FIELDS - {_TEXTS}
    if unknown or _is_missing(user.get("user_id")):
        wrong = f"unknown {min(unknown)!r}" if unknown else "'user_id' is missing"
        names = ", ".join(sorted(_FIELDS | {_TEXTS}))
        raise InputError(f"user mapping: {wrong}; its names are {names}")
    return Profile(
        user_id=canonical_id(user["user_id"]),
        name=read_text("user mapping: name", user.get("name")),
        language=read_text("user mapping: language", user.get("language")),
        traits=_read_texts("traits", user.get("traits")),
        opt_out=_read_flag(user.get("opt_out")),
        interactions=tuple(map(_said, _read_texts(_TEXTS, user.get(_TEXTS)))),
    )


def _said(text: str) -> Interaction:
    return Interaction(text=text)


def _read_texts(name: str, values: object) -> tuple[str, ...]:
    """Return the texts of a list, an array or a series; one text is a list of one."""
    if _is_missing(values):
        return ()
    each = f"user mapping: one of {name}"
    found = [values] if isinstance(values, str) or not isinstance(values, Iterable) else values
    if isinstance(found, Mapping):
        raise InputError(
            f"user mapping: {name} is a mapping", remedy="Hand over a list of strings."
        )
    texts = (read_text(each, value) for value in found)
    return tuple(text for text in texts if text is not None)


def _read_flag(value: object) -> bool:
    """Return a flag by the rule of the tables."""
    if _is_missing(value):
        return False
    number = value.item() if isinstance(value, np.generic) else value
    if not isinstance(number, int | float) or number not in {0, 1}:
        raise InputError("user mapping: opt_out is neither true nor false")
    return bool(number)


def _is_missing(value: object) -> bool:
    """Tell None and what pandas has for it; a list or an array is there, whatever is in it."""
    is_nan = isinstance(value, float) and value != value  # noqa: PLR0124 - so NaN is told
    return value is None or is_nan or type(value).__name__ in {"NAType", "NaTType"}


def _clean(value: Fact, max_chars: int) -> Fact:
    if isinstance(value, str):
        return clean_text(value, max_chars=max_chars)
    if isinstance(value, tuple):
        return tuple(clean_text(each, max_chars=max_chars) for each in value)
    return value
