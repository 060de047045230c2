"""Row groups that cannot hold an id, told by the statistics in a file's footer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from personalm.inputs.ids import is_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow.parquet as pq

_MAX_DIGITS = 20


def may_hold(
    parquet: pq.ParquetFile, group: int, index: int, field: pa.Field, ids: Iterable[str]
) -> bool:
    """Say whether the `index`-th column of a row group may hold one of these canonical ids.

    Only text and signed whole numbers are told apart; anything else may hold any id.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    # Each id as the least and greatest way in which the file may write it.
    written: list[tuple[Any, Any]]
    if pa.types.is_signed_integer(kind):
        written = [(int(each), int(each)) for each in ids if _is_number(each)]
        bounds = _bounds(parquet, group, index, int)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        written = [(each.upper() if is_uuid(each) else each, each) for each in ids]
        bounds = _bounds(parquet, group, index, str)
    else:
        return True
    return bounds is None or any(
        bounds[0] <= greatest and least <= bounds[1] for least, greatest in written
    )


def _bounds(parquet: pq.ParquetFile, group: int, index: int, kind: type) -> tuple[Any, Any] | None:
    """Return the least and greatest value of a column, None where the file does not say."""
    try:
        chunk = parquet.metadata.row_group(group).column(index)
        if chunk.physical_type != parquet.schema.column(index).physical_type:
            # A damaged footer: to ask for statistics of another type ends the process.
            return None
        statistics = chunk.statistics
        if statistics is None or not statistics.has_min_max:
            return None
        bounds = statistics.min, statistics.max
    except (ValueError, pa.ArrowException):
        # A bound of text may be cut in the middle of a character.
        return None
    return bounds if all(isinstance(bound, kind) for bound in bounds) else None


def _is_number(text: str) -> bool:
    """Say whether text may be how a whole number is written."""
    digits = text.removeprefix("-")
    return len(text) <= _MAX_DIGITS and digits.isascii() and digits.isdigit()
