"""Where values stand in a file, for messages: the file, its column, the row of the first value."""

from __future__ import annotations

from dataclasses import dataclass

from personalm.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A run of values of one column of a file; rows are counted from 0."""

    file: str
    column: str
    first_row: int = 0

    def error(
        self, message: str, *, index: int | None = None, remedy: str | None = None
    ) -> InputError:
        """Return an error about the column, or about its `index`-th value here."""
        row = None if index is None else self.first_row + index
        return InputError(message, file=self.file, column=self.column, row=row, remedy=remedy)
