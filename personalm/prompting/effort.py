"""Effort: what one rendering of a template may still do, so that none runs away.

It is counted in units: a letter that is copied, a value that is looked at, a turn of a loop. The
count is the same on every machine, which a limit of time would not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jinja2 import Undefined
from jinja2.exceptions import SecurityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

MAX_EFFORT = 2_000_000
"""Units of one rendering; a shipped template needs about ten thousand."""

_LETTERS_AT_A_LOOK = 32
_BITS_OF_A_LETTER = 3


class TooMuchEffortError(SecurityError):
    """A template loops too often, or builds too much text; the message holds nothing of a row."""


class Effort:
    """The effort of one rendering. Every method raises TooMuchEffortError where it runs out."""

    def __init__(self, limit: int = MAX_EFFORT) -> None:
        self._left = limit

    def spend(self, units: int) -> None:
        """Take away some units."""
        self._left -= units
        if self._left < 0:
            raise TooMuchEffortError(
                "it loops too often or builds too much text: it would take more than "
                f"{MAX_EFFORT:,} steps"
            )

    def take(self, values: Iterable[T]) -> Iterator[T]:
        """Yield values, each for a unit."""
        for value in values:
            self.spend(1)
            yield value

    def look_at(self, value: object) -> None:
        """Pay for comparing, sorting or walking through a value.

        Raises SecurityError for what is no plain value, at any depth.
        """
        self._walk(value, letters_a_unit=_LETTERS_AT_A_LOOK)

    def copy(self, value: object) -> None:
        """Pay for every letter that a value has as text, however deep it is nested."""
        self._walk(value, letters_a_unit=1)

    def _walk(self, value: object, *, letters_a_unit: int) -> None:
        # A list may hold another one many times over: what it costs is known only on the way.
        waiting = [value]
        while waiting:
            found = waiting.pop()
            if isinstance(found, str):
                self.spend(1 + len(found) // letters_a_unit)
            elif isinstance(found, list | tuple):
                self.spend(1 + len(found))
                waiting.extend(found)
            elif isinstance(found, dict):
                self.spend(1 + len(found))
                waiting.extend(found)
                waiting.extend(found.values())
            elif isinstance(found, int):
                self.spend(1 + found.bit_length() // (_BITS_OF_A_LETTER * letters_a_unit))
            elif isinstance(found, float | range | Undefined) or found is None:
                self.spend(1)
            else:
                raise SecurityError("templates handle texts, numbers, lists and mappings only")
