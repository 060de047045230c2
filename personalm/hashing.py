"""Hashes that must never change: buckets, fingerprints and seeds follow from them.

Python's own `hash` differs between processes; everything here is SHA-256 of a canonical form.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def digest(value: object) -> str:
    """Return the SHA-256, in hex, of a value made of text, numbers, times, lists and mappings.

    Equal values give equal digests whatever the order of a mapping's keys.
    """
    canonical = json.dumps(
        value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=_plain
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_digest(user_id: str) -> str:
    """Return the SHA-256 of a user's canonical id, in hex: the order in which users are served."""
    return hashlib.sha256(user_id.encode()).hexdigest()


def first_users(user_ids: Iterable[str], number: int) -> tuple[str, ...]:
    """Return the first users in the order of the digests of their canonical ids.

    Whoever compares users takes these; what scores are normalised against comes from the last.
    """
    return tuple(sorted(set(user_ids), key=user_digest)[:number])


def bucket_of(user_id: str, num_buckets: int) -> int:
    """Return a user's bucket; it depends on nothing but the id and the number of buckets.

    Buckets are ranges of the digest, so that users in the order of their digests fill them one
    after the other.
    """
    return bucket_of_digest(user_digest(user_id), num_buckets)


def bucket_of_digest(name: str, num_buckets: int) -> int:
    """Return the bucket of the user whose id has this digest."""
    return int(name[:8], 16) * num_buckets >> 32


def subject_id_of(subject: str, instructions: str | None) -> str:
    """Return the subject id of a request that names none: a hash of what it asks for."""
    canonical = [" ".join(subject.split()), " ".join((instructions or "").split())]
    return "s-" + digest(canonical)[:16]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"no canonical form for {type(value).__name__}")
