"""Tokenizers, as prompts need them.

A tokenizer takes text as plain characters: a special token that somebody typed is never one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Tokenizer(Protocol):
    """Turns text into token ids and back."""

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """Ids that every prompt of the model starts with; often none."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without any that the model treats as special."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids."""
        ...


class ByteTokenizer:
    """One id for each byte of UTF-8: for tests and dry runs, which need no model."""

    vocabulary_size = 256

    def __init__(self, *, prefix_ids: tuple[int, ...] = ()) -> None:
        self._prefix_ids = prefix_ids

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """Ids that every prompt starts with; none, unless they were named."""
        return self._prefix_ids

    def encode(self, text: str) -> list[int]:
        """Return the bytes of a text."""
        return list(text.encode("utf-8", errors="replace"))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of bytes; ids that are no byte are left out."""
        return bytes(i for i in ids if 0 <= i < self.vocabulary_size).decode(
            "utf-8", errors="replace"
        )
