"""Extra columns as facts: plain values that templates see, and JSON between folder and reader.

Text, numbers, booleans, times and lists of text fit; a date is text in ISO form, since a date is
no instant; a decimal is a float. Columns of other types are left out. A missing value has no entry.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.inputs.contract import Form
from personalm.inputs.nested import is_list
from personalm.inputs.report import Effect
from personalm.inputs.texts import is_text_type, plain
from personalm.inputs.values import Conversion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.inputs.place import Place
    from personalm.inputs.report import Tally
    from personalm.records import Fact

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME = "time"
_FIRST_DAY, _LAST_DAY = ((day - _EPOCH.date()).days for day in (date.min, date.max))


def is_fact_type(kind: pa.DataType) -> bool:
    """Say whether the values of a type can be facts."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return _form_of(kind) is not None or _is_plain(kind)


def encode_facts(columns: Mapping[str, Sequence[Any]], num_rows: int) -> pa.Array[Any]:
    """Return one JSON object a row, null where a row has no facts."""
    if not columns:
        return pa.nulls(num_rows, pa.string())
    names = tuple(columns)
    rows = []
    for values in zip(*columns.values(), strict=True):
        facts = {name: _pack(v) for name, v in zip(names, values, strict=True) if v is not None}
        rows.append(json.dumps(facts, ensure_ascii=False) if facts else None)
    return pa.array(rows, pa.string())


def decode_facts(text: str | None) -> dict[str, Fact]:
    """Return the facts of a row as `encode_facts` wrote them."""
    return {name: _unpack(value) for name, value in json.loads(text).items()} if text else {}


def fact_values(
    values: pa.Array[Any], place: Place, *, zone: str, max_text_chars: int, tally: Tally
) -> list[Any]:
    """Return the values of an extra column as Python values, None where missing."""
    values = plain(values)
    form = _form_of(values.type)
    if form is not None:
        conversion = Conversion(
            name=place.column, form=form, unit=None, zone=zone, max_text_chars=max_text_chars
        )
        converted = conversion.convert(values, place, tally)
        return to_times(converted) if form is Form.TIME else converted.to_pylist()
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64(), safe=False)
    if pa.types.is_date(values.type):
        values = _dates(values.cast(pa.date32()), place, tally)
    numbers: list[Any] = values.to_pylist()
    # NaN is how pandas writes a missing number; an infinite one says nothing in a text either.
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in numbers]


def _dates(values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
    """Return dates in ISO form, null where no calendar has them."""
    days = values.cast(pa.int32())
    is_far = pc.or_(pc.less(days, _FIRST_DAY), pc.greater(days, _LAST_DAY))
    what = "dates lie outside the years 1 to 9999, and count as missing"
    tally.mark(place, is_far, Effect.MISSING, what)
    return pc.if_else(is_far, pa.scalar(None, pa.date32()), values).cast(pa.string())


def to_times(values: pa.Array[Any]) -> list[datetime | None]:
    """Return `timestamp[us, UTC]` values as datetimes, many times faster than `to_pylist`."""
    micros = values.cast(pa.int64()).to_pylist()
    return [None if m is None else _EPOCH + timedelta(microseconds=m) for m in micros]


def _form_of(kind: pa.DataType) -> Form | None:
    """Return the form of the contract that an extra column is read as."""
    if is_text_type(kind) and not _is_bytes(kind):
        return Form.TEXT
    if pa.types.is_timestamp(kind):
        return Form.TIME
    if is_list(kind) and is_text_type(kind.value_type):
        return None if _is_bytes(kind.value_type) else Form.TEXTS
    return None


def _is_bytes(kind: pa.DataType) -> bool:
    tests = pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view
    return any(test(kind) for test in tests)


def _is_plain(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_date,
    )
    return any(test(kind) for test in tests)


def _pack(value: object) -> object:
    if isinstance(value, datetime):
        return {_TIME: (value - _EPOCH) // _MICROSECOND}
    return value


def _unpack(value: Any) -> Fact:  # noqa: ANN401 - a value of JSON
    if isinstance(value, dict):
        return _EPOCH + timedelta(microseconds=value[_TIME])
    if isinstance(value, list):
        return tuple(value)
    fact: Fact = value
    return fact
