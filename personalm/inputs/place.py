"""Where values stand in a file, for messages: the file, its column, the rows of the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personalm.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A run of values of one column of a file; rows are counted from 0.

    The values stand in one row each, from `first_row` on, or in the rows that `rows` names.
    """

    file: str
    column: str
    first_row: int = 0
    rows: pa.Array[Any] | None = None

    def row(self, index: int) -> int:
        """Return the row of the file that the `index`-th value here stands in."""
        return self.first_row + index if self.rows is None else int(self.rows[index].as_py())

    def error(
        self, message: str, *, index: int | None = None, remedy: str | None = None
    ) -> InputError:
        """Return an error about the column, or about its `index`-th value here."""
        row = None if index is None else self.row(index)
        return InputError(message, file=self.file, column=self.column, row=row, remedy=remedy)
