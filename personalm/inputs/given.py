"""Users whom a caller hands over, without a table: read by the rules that the tables are read by.

It knows mappings and profiles; what the values mean is known to `personalm.records`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personalm.errors import InputError
from personalm.inputs.ids import canonical_id
from personalm.inputs.texts import clean_text
from personalm.records import Interaction, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def _read(user: Mapping[Any, Any]) -> Profile:
    unknown = {str(name) for name in user} - _FIELDS - {_TEXTS}
    if unknown or "user_id" not in user:
        wrong = f"unknown {min(unknown)!r}" if unknown else "'user_id' is missing"
        names = ", ".join(sorted(_FIELDS | {_TEXTS}))
        raise InputError(f"user mapping: {wrong}; its names are {names}")
    fields = {name: user[name] for name in _FIELDS & set(user) if user[name] is not None}
    fields["user_id"] = canonical_id(fields["user_id"])
    fields["traits"] = tuple(fields.get("traits", ()))
    given = [text for text in user.get(_TEXTS) or () if not _is_missing(text)]
    wrong_types = sorted({type(text).__name__ for text in given if not isinstance(text, str)})
    if wrong_types:
        raise InputError(
            f"user mapping: texts holds {wrong_types[0]}, not text",
            remedy="Hand over a list of strings, the oldest first.",
        )
    return Profile(**fields, interactions=tuple(Interaction(text=text) for text in given))


def _is_missing(value: object) -> bool:
    """Tell None and the NaN that pandas has for it."""
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


def _clean(value: Fact, max_chars: int) -> Fact:
    if isinstance(value, str):
        return clean_text(value, max_chars=max_chars)
    if isinstance(value, tuple):
        return tuple(clean_text(each, max_chars=max_chars) for each in value)
    return value
