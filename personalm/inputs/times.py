"""Times of any form as `timestamp[us, UTC]`.

Aware times keep their instant; naive times and dates stand in the zone of the settings (the
earlier instant where clocks are set back); numbers count from 1970 in UTC by the unit of the
column mapping; text is read as ISO 8601. What is no time, or lies outside the years 1 to 9999, is
null and counted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import SettingsError
from personalm.inputs.texts import as_text, count_true, is_text_type, plain

if TYPE_CHECKING:
    from personalm.inputs.place import Place
    from personalm.inputs.report import Tally
    from personalm.settings import TimeUnit

TIME = pa.timestamp("us", tz="UTC")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: the zone comes later
_MICROSECOND = timedelta(microseconds=1)
# A day is kept free at both ends, so that no zone moves a time out of datetime's range.
_MIN = (datetime(1, 1, 2) - _EPOCH) // _MICROSECOND  # noqa: DTZ001 - as above
_MAX = (datetime(9999, 12, 30) - _EPOCH) // _MICROSECOND  # noqa: DTZ001 - as above
_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}
_NO_TIME = frozenset({"", "nat", "nan", "none", "null"})


def to_utc(
    values: pa.Array[Any],
    place: Place,
    *,
    unit: TimeUnit | None,
    zone: str,
    tally: Tally,
    name: str,
) -> pa.Array[Any]:
    """Return times in UTC; `name` is the column of the contract that the tally counts under.

    Raises InputError for numbers without a unit and for types that hold no times.
    """
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind):
        return values.cast(TIME)
    if is_text_type(kind):
        return _from_text(as_text(values, place), zone=zone, tally=tally, name=name)
    if pa.types.is_timestamp(kind):
        times = _in_range(values.cast(pa.int64()), kind.unit, tally, name)
        return times.cast(TIME) if kind.tz is not None else _localise(times, zone)
    if pa.types.is_date(kind):
        days = values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
        return _localise(_in_range(pc.multiply(days, 86_400), "s", tally, name), zone)
    if _is_number(kind):
        if unit is None:
            raise place.error(
                f"times are numbers ({kind}), and nothing says in which unit they count",
                remedy=f"Add to the settings, under [inputs.columns.{tally.table}]: "
                f'{name} = {{ column = "{place.column}", unit = "s" }} (or ms, us, ns).',
            )
        return _from_numbers(values, unit, tally, name).cast(TIME)
    raise place.error(
        f"the column holds {kind}, not times",
        remedy="Write the column as timestamps, dates, numbers or ISO 8601 text.",
    )


def check_zone(zone: str) -> None:
    """Raise SettingsError for a name that is no time zone."""
    _localise(pa.array([0], pa.int64()), zone)


def parse_time(text: str) -> tuple[int, bool] | None:
    """Return microseconds since 1970 and whether the text names its zone; None for no time.

    Without a zone the microseconds are those of the clock on the wall.
    """
    text = text.strip()
    if text.endswith((" UTC", " GMT")):
        text = text[:-4] + "+00:00"
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            return (time - _EPOCH) // _MICROSECOND, False
        return (time.astimezone(UTC).replace(tzinfo=None) - _EPOCH) // _MICROSECOND, True
    except (ValueError, OverflowError):
        return None


def _from_text(texts: pa.Array[Any], *, zone: str, tally: Tally, name: str) -> pa.Array[Any]:
    coded = texts.dictionary_encode()
    wall: list[int | None] = []
    instant: list[int | None] = []
    wrong: list[bool] = []
    for text in coded.dictionary.to_pylist():
        parsed = parse_time(text)
        wall.append(parsed[0] if parsed and not parsed[1] else None)
        instant.append(parsed[0] if parsed and parsed[1] else None)
        wrong.append(parsed is None and text.strip().lower() not in _NO_TIME)
    num_wrong = count_true(pa.array(wrong, pa.bool_()).take(coded.indices))
    tally.count(name, "texts are no time, and count as missing", num_wrong)
    walls = pa.array(wall, pa.int64()).take(coded.indices)
    instants = pa.array(instant, pa.int64()).take(coded.indices)
    local = _localise(_in_range(walls, "us", tally, name), zone)
    return pc.coalesce(_in_range(instants, "us", tally, name).cast(TIME), local)


def _from_numbers(values: pa.Array[Any], unit: TimeUnit, tally: Tally, name: str) -> pa.Array[Any]:
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        return _in_range(values.cast(pa.int64()), unit, tally, name)
    numbers = values.cast(pa.float64(), safe=False)
    numbers = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    micros = pc.divide(numbers, 1000.0) if unit == "ns" else numbers
    micros = pc.round(pc.multiply(micros, float(_PER_MICROSECOND[unit])))
    kept = _between(micros, float(_MIN), float(_MAX), tally, name)
    return kept.cast(pa.int64())


def _in_range(counts: pa.Array[Any], unit: str, tally: Tally, name: str) -> pa.Array[Any]:
    """Return whole microseconds of counts of a unit, null where datetime cannot hold them."""
    if unit == "ns":
        return pc.divide(counts, 1000)
    factor = _PER_MICROSECOND[unit]
    kept = _between(counts, _MIN // factor, _MAX // factor, tally, name)
    return pc.multiply(kept, factor)


def _between(
    values: pa.Array[Any], low: float, high: float, tally: Tally, name: str
) -> pa.Array[Any]:
    inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    num_outside = count_true(pc.invert(inside))
    if not num_outside:
        return values
    tally.count(name, "times lie outside the years 1 to 9999, and count as missing", num_outside)
    return pc.if_else(inside, values, pa.scalar(None, values.type))


def _localise(micros: pa.Array[Any], zone: str) -> pa.Array[Any]:
    """Read the clock on the wall of a zone."""
    if zone.upper() == "UTC":
        return micros.cast(TIME)
    naive = micros.cast(pa.timestamp("us"))
    try:
        # Of a time that occurs twice, the first; of one that is skipped, the moment of the skip.
        aware = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest")
    except pa.ArrowInvalid as error:
        raise SettingsError(
            f"inputs.zone: {zone!r} is no time zone: {error}",
            remedy='Use a name such as "Europe/Berlin" or "UTC".',
        ) from None
    return aware.cast(TIME)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
