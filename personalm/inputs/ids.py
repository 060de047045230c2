"""Canonical ids: one text for one user, whatever type a file gives the id.

Whole numbers become their digits, UUIDs their lower-case form, text stays byte for byte: "007" is
not "7". Floats are refused, because 1.0 and 1 would be one user and large ids lose digits.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from numbers import Integral
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import InputError
from personalm.inputs.place import Place
from personalm.inputs.texts import as_text, is_text_type, plain

_UUID_BYTES = 16
_FLOAT = "ids are floats: 1.0 and 1 would be one user, and large ids lose digits"


def canonical_ids(
    values: pa.Array[Any], *, file: str, column: str, first_row: int = 0
) -> pa.Array[Any]:
    """Return ids as canonical text; nulls stay null.

    `first_row` is the row of the file, counted from 0, that the first value stands in. Raises
    InputError for ids that have no exact text.
    """
    place = Place(file=file, column=column, first_row=first_row)
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind):
        return values.cast(pa.string())
    if is_text_type(kind):
        return as_text(values, place)
    if pa.types.is_floating(kind):
        return _no_floats(values, place)
    if pa.types.is_decimal(kind):
        return _whole_decimals(values, place)
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES:
        return _uuids(values)
    raise place.error(
        f"ids have the type {kind}, which has no canonical text",
        remedy="Write the column as text, whole numbers or UUIDs.",
    )


def canonical_id(value: object) -> str:
    """Return one id as canonical text, equal to what `canonical_ids` gives. Raises InputError."""
    if isinstance(value, float):
        raise InputError(_FLOAT, remedy="Give the id as a whole number or as text.")
    if isinstance(value, str):
        return _sound(value)
    # `Integral` covers the numbers of numpy as well, and bool, which is no number here.
    is_flag = isinstance(value, bool)
    if isinstance(value, Integral) and not is_flag:
        return str(int(value))
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    raise InputError(
        f"an id of type {type(value).__name__} has no canonical text",
        remedy="Give text, a whole number or a UUID.",
    )


def _no_floats(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    """Refuse floats; a column without a single value is one of nulls."""
    is_value = pc.fill_null(pc.invert(pc.is_nan(values)), False)
    index = pc.index(is_value, pa.scalar(True)).as_py()
    if index < 0:
        return pa.nulls(len(values), pa.string())
    raise place.error(
        _FLOAT,
        index=index,
        remedy="Write the column as whole numbers or text; "
        f'in pandas: df["{place.column}"] = df["{place.column}"].astype("Int64").',
    )


def _whole_decimals(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    digits = []
    for index, value in enumerate(values.to_pylist()):
        if value is not None and value != value.to_integral_value():
            raise place.error(
                "an id is a decimal with digits after the point",
                index=index,
                remedy="Write ids as whole numbers or as text.",
            )
        digits.append(None if value is None else str(int(value)))
    return pa.array(digits, pa.string())


def _uuids(values: pa.Array[Any]) -> pa.Array[Any]:
    texts = [None if v is None else str(uuid.UUID(bytes=v)) for v in values.to_pylist()]
    return pa.array(texts, pa.string())


def _sound(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError("an id holds half a character, which no file can hold") from None
    return value
