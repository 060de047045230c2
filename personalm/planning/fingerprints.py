"""Fingerprints: equal exactly when a text need not be written again.

They cover what decides a text, and nothing that differs between runs: no request id, no time of
the run, no other user. A fingerprint has four parts, so that it can be told what has changed:
what the inputs hold, the template, the model and the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.accounts import Change
from personalm.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.accounts import LiveRow
    from personalm.records import Fact, Item, ModelCard, Profile, Request, Turn

_PART_LENGTH = 32


def profile_digest(profile: Profile) -> str:
    """Return a hash of all that a text can show of a user; long, so compute it once a user."""
    return digest(
        [
            profile.user_id,
            profile.name,
            profile.language,
            profile.traits,
            _plain(profile.facts),
            [
                [i.text, i.kind, i.item_id, i.rating, i.created_at, i.thread_id]
                for i in profile.interactions
            ],
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
    """Return the fingerprint of a request: four hashes in hex, with hyphens between them.

    `profile` and `voice` are digests of the user's and the voice's profile, `kind` that of the
    template; None stands for a voice or kind that does not exist.
    """
    inputs = [
        [request.kind, request.subject_id, request.subject, request.instructions],
        [request.voice_id, _plain(request.facts), _item(request.item)],
        [profile, voice, language],
        [[turn.text, turn.own] for turn in thread],
    ]
    written_by = [model.name, model.digest, model.adapter, model.max_positions, model.languages]
    parts = (inputs, kind, written_by, settings_digest)
    return "-".join(digest(part)[:_PART_LENGTH] for part in parts)


def find_change(live: LiveRow | None, fingerprint: str) -> Change | None:
    """Say what is another since a live row was written; None where nothing is.

    Of several things the nearest to the user is named.
    """
    if live is None:
        return Change.NEW
    if not fingerprint or not live.fingerprint:
        # A request that could not be planned has no fingerprint that another could equal.
        return Change.TEXT
    if live.fingerprint == fingerprint:
        return None
    old, new = live.fingerprint.split("-"), fingerprint.split("-")
    if len(old) != len(new):
        return Change.VERSION
    changes = (Change.TEXT, Change.TEMPLATE, Change.MODEL, Change.SETTINGS)
    pairs = zip(changes, old, new, strict=True)
    return next(change for change, before, after in pairs if before != after)


def _item(item: Item | None) -> object:
    if item is None:
        return None
    return [item.item_id, item.title, item.description, _plain(item.facts)]


def _plain(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """Return a mapping that JSON can write, whatever mapping it was."""
    return dict(facts)
