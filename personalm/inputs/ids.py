"""Canonical ids: one text for one user, whatever type a file gives the id.

Whole numbers become their digits, UUIDs of any type their lower-case text; other text stays byte
for byte: "007" is not "7". Floats are refused, because 1.0 and 1 would be one user and large ids
lose digits.
"""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from numbers import Integral
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import InputError
from personalm.inputs.texts import as_text, is_text_type, plain

if TYPE_CHECKING:
    from personalm.inputs.place import Place

MAX_ID_BYTES = 1_024
"""A longer text is no id: it would be carried through every table and result."""

_UUID_BYTES = 16
_UUID_CHARS = 36
_UUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_FLOAT = "ids are floats: 1.0 and 1 would be one user, and large ids lose digits"


def canonical_ids(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    """Return ids as canonical text; nulls stay null. Raises InputError for what has no exact text.

    An id of more than `MAX_ID_BYTES` is refused as well.
    """
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind):
        return values.cast(pa.string())
    if is_text_type(kind):
        return _texts(values, place)
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
        return _text(value)
    # `Integral` covers the numbers of numpy as well, and bool, which is no number here.
    is_flag = isinstance(value, bool)
    if isinstance(value, Integral) and not is_flag:
        return str(int(value))
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    raise InputError(
        f"an id of type {type(value).__name__} has no canonical text",
        remedy="Give text, a whole number or a UUID.",
    )


def is_uuid(text: str) -> bool:
    """Say whether a text is a UUID in its usual form, in letters of either case."""
    return len(text) == _UUID_CHARS and re.match(_UUID, text) is not None


def _texts(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    texts = as_text(values, place)
    lengths = pc.binary_length(texts)
    index = pc.index(pc.greater(lengths, MAX_ID_BYTES), True).as_py()
    if index >= 0:
        raise place.error(
            f"an id has more than {MAX_ID_BYTES:,} bytes",
            index=index,
            remedy="Map the column that holds the ids.",
        )
    may_be_uuid = pc.equal(lengths, _UUID_CHARS)
    if not pc.any(may_be_uuid).as_py():
        return texts
    is_uuid = pc.and_(may_be_uuid, pc.match_substring_regex(texts, _UUID))
    return pc.if_else(is_uuid, pc.ascii_lower(texts), texts)


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


def _text(value: str) -> str:
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise InputError("an id holds half a character, which no file can hold") from None
    if length > MAX_ID_BYTES:
        raise InputError(f"an id has more than {MAX_ID_BYTES:,} bytes")
    return value.lower() if is_uuid(value) else value
