"""Sealing: small JSON records that tell whether they are as they were written.

A data file is checked against its record; the seal is what the record itself is checked against.
It finds damage, not forgery: whoever can write to the folder can seal.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SEAL = "seal"
_MARK = f',\n "{_SEAL}": '.encode()


def seal(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON, with the SHA-256 of all that stands before it at its end."""
    values = {name: value for name, value in record.items() if name != _SEAL}
    body = json.dumps(values, indent=1).encode().removesuffix(b"\n}")
    return body + _MARK + _end_of(body)


def is_as_sealed(data: bytes, *, known: Collection[str]) -> bool:
    """Say whether JSON is as it was sealed.

    Older versions did not seal: a record without one may hold no other keys than those `known`.
    """
    body, mark, end = data.rpartition(_MARK)
    if mark:
        return end == _end_of(body)
    return set(json.loads(data)) <= set(known)


def _end_of(body: bytes) -> bytes:
    return f'"{hashlib.sha256(body).hexdigest()}"\n}}'.encode()
