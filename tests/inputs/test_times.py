"""Laws of times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.errors import InputError, SettingsError
from personalm.inputs.place import Place
from personalm.inputs.report import Tally
from personalm.inputs.times import to_utc

_NOON = datetime(2004, 11, 15, 12, 18, tzinfo=UTC)
_SECONDS = int(_NOON.timestamp())


def _read(
    values: pa.Array[Any], *, unit: Any = None, zone: str = "UTC", tally: Tally | None = None
) -> list[datetime | None]:
    place = Place(file="f", column="when")
    times = to_utc(
        values,
        place,
        unit=unit,
        zone=zone,
        tally=tally or Tally("interactions"),
        name="created_at",
    )
    assert times.type == pa.timestamp("us", tz="UTC")
    return [None if t is None else t.astimezone(UTC) for t in times.to_pylist()]


def _count(tally: Tally) -> int:
    return sum(finding.count for finding in tally.findings)


@pytest.mark.parametrize(
    "text",
    [
        "2004-11-15T12:18",
        "2004-11-15 12:18:00",
        "2004-11-15T12:18:00.000000",
        "2004-11-15T12:18:00.000000000",
        "2004-11-15T12:18:00Z",
        "2004-11-15T13:18:00+01:00",
        "2004-11-15 12:18:00 UTC",
        " 2004-11-15T12:18 ",
    ],
)
def test_text_in_several_forms_is_one_instant(text: str) -> None:
    """Zoned or not, with or without seconds: the same instant."""
    assert _read(pa.array([text])) == [_NOON]


def test_a_date_is_its_first_moment_in_the_zone() -> None:
    """Text and date columns agree."""
    expected = [datetime(2004, 11, 14, 23, tzinfo=UTC)]
    assert _read(pa.array(["2004-11-15"]), zone="Europe/Berlin") == expected
    assert _read(pa.array([date(2004, 11, 15)]), zone="Europe/Berlin") == expected
    assert _read(pa.array([date(2004, 11, 15)], pa.date64()), zone="Europe/Berlin") == expected


def test_missing_times_are_null_and_no_time_is_counted() -> None:
    """Words for nothing are nothing; words that are no time are told."""
    tally = Tally("interactions")
    texts = pa.array(["NaT", "", "  ", "None", None, "yesterday", "2004-13-01", "yesterday"])
    assert _read(texts, tally=tally) == [None] * 8
    assert _count(tally) == 3


def test_naive_and_aware_times_of_one_instant_are_equal() -> None:
    """One shard without a zone and one with another zone meet in UTC."""
    naive = pa.array([datetime(2004, 11, 15, 13, 18)], pa.timestamp("ms"))  # noqa: DTZ001 - naive
    aware = pa.array([_NOON.astimezone(ZoneInfo("Asia/Tokyo"))], pa.timestamp("ns", "Asia/Tokyo"))
    assert _read(naive, zone="Europe/Berlin") == _read(aware) == [_NOON]


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_numbers_count_in_their_unit_and_know_no_zone(unit: str, factor: int) -> None:
    """Whole numbers and floats of a unit are instants, whatever the zone of naive times."""
    for kind in (pa.int64(), pa.uint64(), pa.float64()):
        values = pa.array([_SECONDS * factor, None], pa.int64()).cast(kind, safe=False)
        assert _read(values, unit=unit, zone="Asia/Tokyo") == [_NOON, None]


def test_numbers_without_a_unit_are_refused_with_the_remedy() -> None:
    """Seconds and milliseconds look alike: the settings must say which."""
    with pytest.raises(InputError, match="in which unit") as caught:
        _read(pa.array([1, 2]))
    assert 'created_at = { column = "when", unit = "s" }' in str(caught.value)
    assert "[inputs.columns.interactions]" in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**62, -(2**62)], pa.timestamp("s")),
        pa.array([2**62, -(2**62)], pa.timestamp("us", "UTC")),
        pa.array([2**62, -(2**62)], pa.timestamp("ms", "Asia/Tokyo")),
        pa.array([2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32()),
        pa.array(["99999-01-01", "0000-01-01"]),
        pa.array([float("inf"), -1e300]),
        pa.array([2**62, -(2**62)]),
    ],
    ids=lambda values: str(values.type),
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_time_out_of_range_is_null_and_counted(values: pa.Array[Any], zone: str) -> None:
    """A year that no program can hold costs its value, not the file, and never wraps around."""
    tally = Tally("interactions")
    assert _read(values, unit="s", zone=zone, tally=tally) == [None, None]
    assert _count(tally) == 2


def test_a_far_year_is_kept() -> None:
    """The year 2500 is beyond nanoseconds, not beyond us."""
    far = datetime(2500, 1, 1, tzinfo=UTC)
    assert _read(pa.array([far], pa.timestamp("us", "UTC"))) == [far]
    assert _read(pa.array(["2500-01-01"])) == [far]


def test_clocks_set_back_and_forward_never_stop_a_file() -> None:
    """Of an hour that comes twice it is the first; a skipped one is read without error."""
    twice = "2025-10-26T02:30"
    assert _read(pa.array([twice]), zone="Europe/Berlin") == [
        datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    ]
    skipped = datetime(2025, 3, 30, 2, 30)  # noqa: DTZ001 - naive
    from_text = _read(pa.array(["2025-03-30T02:30"]), zone="Europe/Berlin")
    from_time = _read(pa.array([skipped], pa.timestamp("us")), zone="Europe/Berlin")
    assert from_text == from_time
    assert from_text[0] is not None


def test_a_column_of_nothing_is_one_of_missing_times() -> None:
    """The null type casts to times as to anything."""
    assert _read(pa.nulls(2)) == [None, None]


@pytest.mark.parametrize("values", [[True], [timedelta(1)], [["2004"]]], ids=str)
def test_types_that_hold_no_times_are_refused(values: list[Any]) -> None:
    """A flag is no time."""
    with pytest.raises(InputError, match="not times"):
        _read(pa.array(values))


def test_an_unknown_zone_is_an_error_of_the_settings() -> None:
    """The name of the setting is in the message."""
    with pytest.raises(SettingsError, match=r"inputs\.zone: 'Mars/Base'"):
        _read(pa.array(["2004-11-15"]), zone="Mars/Base")


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28)))  # noqa: DTZ001 - naive
def test_text_and_timestamps_agree_on_every_instant(time: datetime) -> None:
    """Whatever form a file gives a time, it is the same one."""
    aware = time.replace(tzinfo=UTC)
    assert _read(pa.array([time.isoformat()])) == [aware]
    assert _read(pa.array([time], pa.timestamp("us"))) == [aware]
