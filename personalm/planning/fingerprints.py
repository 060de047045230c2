"""Fingerprints: equal exactly when a text need not be written again.

They cover what decides a text, and nothing that differs between runs: no request id, no time of
the run, no other user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.records import Fact, Item, ModelCard, Profile, Request, Turn


def profile_digest(profile: Profile) -> str:
    """Return a hash of all that a text can show of a user; long, so compute it once a user."""
    return digest(
        [
            profile.user_id,
            profile.name,
            profile.language,
            profile.traits,
            _plain(profile.facts),
            [[i.text, i.kind, i.item_id, i.rating, i.created_at] for i in profile.interactions],
        ]
    )


def fingerprint_of(
    *,
    request: Request,
    profile: str,
    voice: str | None,
    language: str,
    thread: Sequence[Turn],
    kind: str | None,
    model: ModelCard,
    settings_digest: str,
) -> str:
    """Return the fingerprint of a request, in hex.

    `profile` and `voice` are digests of the user's and the voice's profile, `kind` that of the
    template; None stands for a voice or kind that does not exist.
    """
    return digest(
        [
            [request.kind, request.subject_id, request.subject, request.instructions],
            [request.voice_id, _plain(request.facts), _item(request.item)],
            [profile, voice, language],
            [[turn.text, turn.own] for turn in thread],
            kind,
            [model.name, model.digest, model.adapter, model.max_positions, model.languages],
            settings_digest,
        ]
    )


def _item(item: Item | None) -> object:
    if item is None:
        return None
    return [item.item_id, item.title, item.description, _plain(item.facts)]


def _plain(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """Return a mapping that JSON can write, whatever mapping it was."""
    return dict(facts)
