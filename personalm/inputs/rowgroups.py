"""Row groups that cannot hold an id, told by the statistics in a file's footer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow.parquet as pq

_MAX_DIGITS = 20


def may_hold(group: pq.RowGroupMetaData, field: pa.Field, ids: Iterable[str]) -> bool:
    """Say whether a column of a row group may hold one of these canonical ids.

    Only text and signed whole numbers are told apart; anything else may hold any id.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    candidates: list[Any]
    if pa.types.is_signed_integer(kind):
        candidates = [int(each) for each in ids if _is_number(each)]
        bounds = _bounds(group, field.name, int)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        candidates = list(ids)
        bounds = _bounds(group, field.name, str)
    else:
        return True
    return bounds is None or any(bounds[0] <= each <= bounds[1] for each in candidates)


def _bounds(group: pq.RowGroupMetaData, column: str, kind: type) -> tuple[Any, Any] | None:
    """Return the least and greatest value of a column, None where the file does not say."""
    chunks = (group.column(index) for index in range(group.num_columns))
    chunk = next((each for each in chunks if each.path_in_schema == column), None)
    statistics = chunk.statistics if chunk else None
    if statistics is None or not statistics.has_min_max:
        return None
    try:
        bounds = statistics.min, statistics.max
    except (ValueError, pa.ArrowException):
        # A bound of text may be cut in the middle of a character.
        return None
    return bounds if all(isinstance(bound, kind) for bound in bounds) else None


def _is_number(text: str) -> bool:
    """Say whether text may be how a whole number is written."""
    digits = text.removeprefix("-")
    return len(text) <= _MAX_DIGITS and digits.isascii() and digits.isdigit()
