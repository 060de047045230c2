"""Times of any form as `timestamp[us, UTC]`.

Aware times keep their instant; naive times and dates stand in the zone of the settings (the
earlier instant where clocks are set back); numbers count from 1970 in UTC by the unit of the
column mapping; text is read as ISO 8601, or as such a number. What is no time, or lies outside the
years 1 to 9999, is null and counted.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import SettingsError
from personalm.inputs.report import Effect
from personalm.inputs.texts import as_text, is_text_type, plain

if TYPE_CHECKING:
    from personalm.inputs.place import Place
    from personalm.inputs.report import Tally
    from personalm.settings import TimeUnit

TIME = pa.timestamp("us", tz="UTC")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: the zone comes later
_MICROSECOND = timedelta(microseconds=1)
_MIN = (datetime(1, 1, 1) - _EPOCH) // _MICROSECOND  # noqa: DTZ001 - as above
_MAX = (datetime(9999, 12, 31) - _EPOCH) // _MICROSECOND + 86_400_000_000 - 1  # noqa: DTZ001 - as above
_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?")
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
    """Return times in UTC; `name` is the column of the contract, for the remedy of an error.

    Raises InputError for numbers without a unit and for types that hold no times.
    """
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind):
        return values.cast(TIME)
    if is_text_type(kind):
        texts = as_text(values, place)
        return _from_text(texts, place, unit=unit, zone=zone, tally=tally)
    if pa.types.is_timestamp(kind):
        times = _in_range(values.cast(pa.int64()), kind.unit, place, tally)
        return times.cast(TIME) if kind.tz is not None else _localise(times, zone, place, tally)
    if pa.types.is_date(kind):
        days = values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
        seconds = pc.multiply(days, 86_400)
        return _localise(_in_range(seconds, "s", place, tally), zone, place, tally)
    if _is_number(kind):
        if unit is None:
            raise place.error(
                f"times are numbers ({kind}), and nothing says in which unit they count",
                remedy=f"Add to the settings, under [inputs.columns.{tally.table}]: "
                f'{name} = {{ column = "{place.column}", unit = "s" }} (or ms, us, ns).',
            )
        return _from_numbers(values, unit, place, tally).cast(TIME)
    raise place.error(
        f"the column holds {kind}, not times",
        remedy="Write the column as timestamps, dates, numbers or ISO 8601 text.",
    )


def check_zone(zone: str) -> None:
    """Raise SettingsError for a name that is no time zone."""
    _assume(pa.array([0], pa.int64()), zone)


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


def _parse_number(text: str, unit: TimeUnit) -> tuple[int, bool] | None:
    """Return microseconds since 1970 of a number in a unit, as `parse_time` does."""
    if not _NUMBER.fullmatch(text := text.strip()):
        return None
    micros = Decimal(text) * _PER_MICROSECOND[unit] / (1000 if unit == "ns" else 1)
    # What no file of 64 bits could hold is as far out of range as its end.
    return int(max(min(micros, Decimal(_MAX + 1)), Decimal(_MIN - 1))), True


def _from_text(
    texts: pa.Array[Any], place: Place, *, unit: TimeUnit | None, zone: str, tally: Tally
) -> pa.Array[Any]:
    coded = texts.dictionary_encode()
    wall: list[int | None] = []
    instant: list[int | None] = []
    wrong: list[bool] = []
    for text in coded.dictionary.to_pylist():
        parsed = _parse_number(text, unit) if unit else None
        parsed = parsed or parse_time(text)
        wall.append(parsed[0] if parsed and not parsed[1] else None)
        instant.append(parsed[0] if parsed and parsed[1] else None)
        wrong.append(parsed is None and text.strip().lower() not in _NO_TIME)
    tally.mark(
        place,
        pa.array(wrong, pa.bool_()).take(coded.indices),
        Effect.MISSING,
        "texts are no time, and count as missing",
        remedy="Write times in ISO 8601, such as 2026-01-31T18:30:00+01:00.",
    )
    walls = pa.array(wall, pa.int64()).take(coded.indices)
    instants = pa.array(instant, pa.int64()).take(coded.indices)
    local = _localise(walls, zone, place, tally)
    return pc.coalesce(_in_range(instants, "us", place, tally).cast(TIME), local)


def _from_numbers(
    values: pa.Array[Any], unit: TimeUnit, place: Place, tally: Tally
) -> pa.Array[Any]:
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        return _in_range(values.cast(pa.int64()), unit, place, tally)
    numbers = values.cast(pa.float64(), safe=False)
    numbers = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    micros = pc.divide(numbers, 1000.0) if unit == "ns" else numbers
    micros = pc.round(pc.multiply(micros, float(_PER_MICROSECOND[unit])))
    kept = _between(micros, float(_MIN), float(_MAX), place, tally).cast(pa.int64())
    # The last microsecond has no float of its own: the nearest is one too many.
    return _in_range(kept, "us", place, tally)


def _in_range(counts: pa.Array[Any], unit: str, place: Place, tally: Tally) -> pa.Array[Any]:
    """Return whole microseconds of counts of a unit, null where datetime cannot hold them."""
    if unit == "ns":
        return pc.divide(counts, 1000)
    factor = _PER_MICROSECOND[unit]
    kept = _between(counts, -(-_MIN // factor), _MAX // factor, place, tally)
    return pc.multiply(kept, factor)


def _between(
    values: pa.Array[Any], low: float, high: float, place: Place, tally: Tally
) -> pa.Array[Any]:
    inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    what = "times lie outside the years 1 to 9999, and count as missing"
    remedy = "Check the unit of the column; a far date that stands for none is better left empty."
    if not tally.mark(place, pc.invert(inside), Effect.MISSING, what, remedy=remedy):
        return values
    return pc.if_else(inside, values, pa.scalar(None, values.type))


def _localise(micros: pa.Array[Any], zone: str, place: Place, tally: Tally) -> pa.Array[Any]:
    """Read the clock on the wall of a zone, and say that there was no other to read."""
    tally.mark(
        place,
        pc.is_valid(micros),
        Effect.CAST,
        f"times without a zone were read as {zone} time",
        remedy="Set inputs.zone to the zone they were written in.",
    )
    # The zone may move a time of the first or the last day out of what datetime can hold.
    return _in_range(_assume(micros, zone).cast(pa.int64()), "us", place, tally).cast(TIME)


def _assume(micros: pa.Array[Any], zone: str) -> pa.Array[Any]:
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
