"""Damage to one file of an output folder, and its repair from a copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Manner = Literal["flip", "truncate", "delete"]


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What was done to which file."""

    path: Path
    before: bytes
    after: bytes | None

    @property
    def is_there(self) -> bool:
        """Whether the file is still as the damage left it."""
        if not self.path.exists():
            return self.after is None
        return self.path.read_bytes() == self.after

    def repair(self) -> None:
        """Put the bytes back, into the same file where there is one: it may have other names."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.before)


def files_of(output: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern that are not empty, in the same order each time."""
    paths = (path for path in output.glob(pattern) if path.is_file() and not path.is_symlink())
    return sorted(path for path in paths if path.stat().st_size)


def damage(path: Path, manner: Manner, place: float) -> Damage:
    """Flip a bit, cut the file, or take it away; `place` says where, as a share of its bytes."""
    before = path.read_bytes()
    offset = int(place * len(before))
    if manner == "delete":
        path.unlink()
        return Damage(path=path, before=before, after=None)
    after = before[:offset]
    if manner == "flip":
        bit = 1 << offset % 8
        after += bytes([before[offset] ^ bit]) + before[offset + 1 :]
    path.write_bytes(after)
    return Damage(path=path, before=before, after=after)
