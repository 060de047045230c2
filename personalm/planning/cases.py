"""A case: one user's inputs while they are planned, with what is long to compute kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.planning.fingerprints import profile_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.records import Profile, Request, Turn, UserInputs


class VoiceDigests:
    """Digests of voices: many users of a bucket ask for the same few."""

    def __init__(self) -> None:
        self._digests: dict[int, tuple[Profile, str]] = {}

    def of(self, voice: Profile) -> str:
        """Return the digest of a voice's profile."""
        # The profile is kept beside its digest, so that its id() stays its own.
        known = self._digests.get(id(voice))
        if known is None:
            known = self._digests[id(voice)] = voice, profile_digest(voice)
        return known[1]


class Case:
    """One user's inputs, and whose voice and which thread a request of the user means."""

    def __init__(self, user: UserInputs, *, language: str, voices: VoiceDigests) -> None:
        self.profile = user.profile
        self.language = language
        self.profile_digest = profile_digest(user.profile)
        self._user = user
        self._voices = voices

    def voice_of(self, request: Request) -> Profile | None:
        """Return the voice; None where nobody of this id is known, or has opted out."""
        if request.voice_id is None or request.voice_id == self.profile.user_id:
            return self.profile
        voice = self._user.voices.get(request.voice_id)
        return None if voice is None or voice.opt_out else voice

    def voice_digest_of(self, request: Request) -> str | None:
        """Return the digest of the voice's profile, None where there is no such voice."""
        voice = self.voice_of(request)
        if voice is self.profile:
            return self.profile_digest
        return None if voice is None else self._voices.of(voice)

    def thread_of(self, request: Request) -> tuple[Turn, ...]:
        """Return the turns before the incoming message, oldest first.

        The incoming message is the subject; where it is no turn of the thread, all are earlier.
        """
        if request.thread_id is None:
            return ()
        turns = tuple(self._user.threads.get(request.thread_id, ()))
        return turns[: _find_incoming(turns, request.subject or "")]


def _find_incoming(turns: Sequence[Turn], message: str) -> int:
    """Return the place of a message among turns: the last one that says it, of the user's side.

    One of the other side is taken where the user's side never said it, the end where nobody did.
    """
    folded = _fold(message)
    places = [place for place, turn in enumerate(turns) if _fold(turn.text) == folded]
    own = [place for place in places if turns[place].own]
    return (own or places or [len(turns)])[-1]


def _fold(text: str) -> str:
    return " ".join(text.split())
