"""Users whom a caller hands over, without a table: read by the rules that the tables are read by.

It knows mappings and profiles; what the values mean is known to `personalm.records`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from personalm.errors import InputError
from personalm.inputs.ids import canonical_id
from personalm.inputs.texts import clean_text
from personalm.records import Interaction, Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from personalm.settings import Inputs

_FIELDS = frozenset({"user_id", "name", "language", "traits", "opt_out"})
_TEXTS = "texts"


def read_given(user: Mapping[Any, Any] | Profile, inputs: Inputs) -> Profile:
    """Return a user as the tables would give them.

    Texts have no half character and no NUL, they are cut at `inputs.max_text_chars`, blank ones are
    missing, and of very many the newest are used. Raises InputError for names that a mapping must
    not or has to have, for an id of blanks, and for texts that are none.
    """
    profile = user if isinstance(user, Profile) else _read(user)
    clean = partial(_clean, max_chars=inputs.max_text_chars)
    said = [_clean_interaction(each, clean) for each in profile.interactions]
    if not isinstance(user, Profile):
        # In a table without times, rows that say nothing stand first: none takes a text's place.
        said.sort(key=lambda each: bool(each.text))
    facts = {name: clean(value) for name, value in profile.facts.items()}
    return replace(
        profile,
        user_id=_user_id(profile.user_id),
        name=clean(profile.name),
        language=clean(profile.language),
        traits=clean(profile.traits),
        facts={name: value for name, value in facts.items() if value is not None},
        interactions=tuple(said[-inputs.max_user_interactions :]),
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
        user_id=user["user_id"],
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


def _user_id(value: object) -> str:
    user_id = _read_id(value)
    if user_id is None:
        raise InputError("a user is handed over whose 'user_id' is blank: it names nobody")
    return user_id


def _read_id(value: object) -> str | None:
    read = None if value is None else canonical_id(value)
    return read if read and read.strip() else None


def _clean_interaction(given: Interaction, clean: Callable[[Any], Any]) -> Interaction:
    return replace(
        given,
        text=clean(given.text) or "",
        kind=clean(given.kind),
        rating=clean(given.rating),
        item_id=_read_id(given.item_id),
        text_id=_read_id(given.text_id),
        thread_id=_read_id(given.thread_id),
    )


def _clean(value: Any, max_chars: int) -> Any:  # noqa: ANN401 - of the type that it was, or None
    """Return a value as a column would hold it: None for what says nothing."""
    if isinstance(value, str):
        return clean_text(value, max_chars=max_chars)
    if isinstance(value, tuple):
        return tuple(text for each in value if (text := _clean(each, max_chars)) is not None)
    # A number that is none is missing, an infinite one says nothing either.
    return None if isinstance(value, float) and not math.isfinite(value) else value
