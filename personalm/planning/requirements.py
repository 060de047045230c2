"""What a request must bring before it can be written, and what is wrong where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.planning.languages import normalise_language, normalise_languages
from personalm.records import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.kinds import Kind
    from personalm.planning.cases import Case
    from personalm.records import ModelCard, Request


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request cannot be served; the message holds no personal text."""

    reason: Reason
    message: str


def find_kind(kinds: Mapping[str, Kind], name: str) -> Kind | Problem:
    """Return the kind of this name."""
    kind = kinds.get(name)
    if kind is not None:
        return kind
    known = ", ".join(sorted(kinds)) or "none"
    return Problem(
        Reason.UNKNOWN_KIND, f"there is no template for this kind; known kinds are {known}"
    )


def check_needs(case: Case, request: Request, kind: Kind) -> Problem | None:
    """Say which input is missing that the kind needs, or that the voice is unknown."""
    given = {
        "instructions": bool((request.instructions or "").strip()),
        "thread": bool(case.thread_of(request)),
        "voice": request.voice_id is not None,
    }
    missing = [name for name in kind.front.needs if not given[name]]
    if missing:
        return Problem(
            Reason.MISSING_INPUT,
            f"the kind {kind.name} needs {', '.join(missing)}",
        )
    if case.voice_of(request) is None:
        return Problem(
            Reason.UNKNOWN_VOICE, "voice_id names nobody who has a profile and has not opted out"
        )
    return None


def check_language(language: str, kind: Kind, model: ModelCard) -> Problem | None:
    """Say that the model or the kind does not write a language."""
    short = normalise_language(language)
    limits = {
        f"the model {model.name}": model.languages,
        f"the kind {kind.name}": kind.front.languages,
    }
    known = {
        name: normalise_languages(languages)
        for name, languages in limits.items()
        if languages is not None
    }
    if all(short in languages for languages in known.values()):
        return None
    lists = "; ".join(
        f"{name} writes {', '.join(languages) or 'none'}" for name, languages in known.items()
    )
    return Problem(
        Reason.LANGUAGE_NOT_SUPPORTED, f"the user's language is {short or 'unknown'}; {lists}"
    )
