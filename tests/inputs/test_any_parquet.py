"""Laws of any Parquet that people have: the same logical rows whatever the types, or a reason.

Cases that were reported of other readers stand here by kind; the property test mixes them.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from personalm.errors import InputError
from personalm.inputs.lookup import find_user
from personalm.inputs.report import Effect
from personalm.inputs.spill import spill
from personalm.records import UserInputs
from personalm.settings import ColumnSource, Inputs

Write = Callable[..., str]
SpillAll = Callable[[Inputs], dict[str, UserInputs]]

_UUID = uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
_NOON = datetime(2004, 11, 15, 12, 18, tzinfo=UTC)
_WHOLE = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.decimal32(9, 0), pa.decimal64(18, 0), pa.decimal128(20, 0), pa.decimal256(40, 0)),
    pa.decimal128(20, 2),
]
_TEXT = [
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary_view()),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string()),
]


def _ids(numbers: Sequence[int | None], kind: pa.DataType) -> pa.Array[Any]:
    """Return whole numbers in a type of numbers or texts."""
    if kind in _WHOLE:
        values = [n if n is None or pa.types.is_integer(kind) else Decimal(n) for n in numbers]
        return pa.array(values, kind)
    texts = pa.array([None if n is None else str(n) for n in numbers], pa.string())
    return (
        texts.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else texts.cast(kind)
    )


class TestIds:
    """Laws of who is who."""

    @pytest.mark.parametrize("kind", [*_WHOLE, *_TEXT], ids=str)
    def test_a_user_written_in_two_types_is_one(
        self, kind: pa.DataType, write: Write, spill_all: SpillAll
    ) -> None:
        """A number in one table, text in another; null joins nobody."""
        is_text = kind in _TEXT
        ids = _ids([7, None], kind)
        texts = write("i.parquet", {"user_id": ids, "text": ["x", "of nobody"]})
        other = pa.array([7, None]) if is_text else pa.array(["7", None])
        profiles = write("p.parquet", {"user_id": other, "name": ["Ada", "Nobody"]})
        inputs = Inputs(interactions=(texts,), profiles=(profiles,))
        (user,) = spill_all(inputs).values()
        assert (user.profile.user_id, user.profile.name) == ("7", "Ada")
        assert user.profile.texts == ("x",)
        assert find_user(inputs, 7) == find_user(inputs, "7") == user

    @pytest.mark.parametrize(
        ("kind", "value"),
        [(k, v) for k in _WHOLE[:8] for v in (np.iinfo(str(k)).min, np.iinfo(str(k)).max)],
        ids=str,
    )
    def test_every_digit_of_every_width_is_kept(
        self, kind: pa.DataType, value: int, write: Write
    ) -> None:
        """From the least to the greatest, signed and unsigned; a look-up finds it."""
        path = write("i.parquet", {"user_id": pa.array([value], kind), "text": ["x"]})
        found = find_user(Inputs(interactions=(path,)), int(value))
        assert found is not None
        assert found.profile.user_id == str(value)

    @pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
    def test_floats_are_refused_in_every_width(
        self, kind: pa.DataType, write: Write, tmp_path: Path
    ) -> None:
        """The message says why, where, and what to do; a join has often made them."""
        path = write("i.parquet", {"user_id": pa.array([None, 1], kind), "text": ["x", "y"]})
        with pytest.raises(InputError, match="1 would be one user, and large ids lose") as caught:
            spill(Inputs(interactions=(path,)), tmp_path / "s", num_buckets=1)
        where = caught.value.file, caught.value.column, caught.value.row
        assert where == (path, "user_id", 1)
        assert 'astype("Int64")' in str(caught.value)

    @pytest.mark.parametrize(
        "ids",
        [
            pd.Series([_UUID]),
            pa.array([_UUID.bytes], pa.binary(16)),
            pa.array([_UUID.bytes], pa.binary(16)).cast(pa.uuid()),
            pa.array([str(_UUID).upper()]),
            pa.array([str(_UUID)]).dictionary_encode(),
        ],
        ids=["objects", "bytes", "uuid", "upper case", "text"],
    )
    def test_uuids_have_one_form(
        self, ids: Any, write: Write, tmp_path: Path, spill_all: SpillAll
    ) -> None:
        """Lower-case text, whoever wrote them how; statistics in upper case hide nobody."""
        if isinstance(ids, pd.Series):
            path = str(tmp_path / "i.parquet")
            pd.DataFrame({"user_id": ids, "text": ["x"]}).to_parquet(path)
        else:
            path = write("i.parquet", {"user_id": ids, "text": ["x"]})
        inputs = Inputs(interactions=(path,))
        assert set(spill_all(inputs)) == {str(_UUID)}
        for wanted in (_UUID, str(_UUID), str(_UUID).upper()):
            assert find_user(inputs, wanted) is not None

    def test_spaces_case_and_unicode_forms_make_other_users(
        self, write: Write, tmp_path: Path
    ) -> None:
        """Nothing is guessed together; ids with white space around them are told."""
        ids = ["a", "A", " a", "a ", "é", "e\u0301", "a\u00a0", "١", "1", "01"]
        path = write("i.parquet", {"user_id": ids, "text": ids})
        with spill(Inputs(interactions=(path,)), tmp_path / "s", num_buckets=1) as spilled:
            users = {user.profile.user_id: user.profile.texts for user in spilled.read(0)}
        assert users == {each: (each,) for each in ids}
        assert spilled.report.count_of("interactions", "user_id", Effect.KEPT) == 3

    @pytest.mark.parametrize(
        "value", ["007", "1e-10", "40+2", '"5"', "2018-10-09", "true", "a b", "é", "."]
    )
    def test_a_folder_of_an_id_is_that_very_text(self, value: str, tmp_path: Path) -> None:
        """Nothing in the name of a folder is a number, a date or a flag."""
        folder = tmp_path / "d" / f"user_id={value}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"text": ["x"]}), folder / "0.parquet")
        inputs = Inputs(interactions=(str(tmp_path / "d"),))
        found = find_user(inputs, value)
        assert found is not None
        assert found.profile.user_id == value

    def test_rows_that_join_nobody_do_not_multiply(self, write: Write, spill_all: SpillAll) -> None:
        """A key three times and a thousand rows make one user of a thousand rows."""
        profiles = write("p.parquet", {"user_id": ["u", "u", "u", None, None]})
        texts = write("i.parquet", {"user_id": ["u", None] * 500, "text": ["x"] * 1000})
        (user,) = spill_all(Inputs(profiles=(profiles,), interactions=(texts,))).values()
        assert len(user.profile.texts) == 500

    def test_an_id_in_the_index_of_pandas_is_found_or_its_column_named(
        self, tmp_path: Path
    ) -> None:
        """With a name it is a column; without one the message shows how to map it."""
        frame = pd.DataFrame({"name": ["Ada"]}, index=pd.Index([7], name="user_id"))
        frame.to_parquet(tmp_path / "a.parquet")
        assert find_user(Inputs(profiles=(str(tmp_path / "a.parquet"),)), 7) is not None
        frame.index.name = None
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=True), tmp_path / "b.parquet")
        inputs = Inputs(profiles=(str(tmp_path / "b.parquet"),))
        with pytest.raises(InputError, match="__index_level_0__"):
            find_user(inputs, 7)
        mapping = {"profiles": {"user_id": ColumnSource(column="__index_level_0__")}}
        found = find_user(inputs.model_copy(update={"columns": mapping}), 7)
        assert found is not None
        assert found.profile.name == "Ada"


class TestTimes:
    """Laws of when."""

    @pytest.mark.parametrize(
        "values",
        [
            *(
                pa.array([_NOON], pa.timestamp(unit, zone))
                for unit in ("s", "ms", "us", "ns")
                for zone in (None, "UTC", "Asia/Tokyo", "+05:30")
            ),
            pa.array(["2004-11-15T12:18Z"]),
            pa.array(["2004-11-15 12:18:00"]).dictionary_encode(),
        ],
        ids=lambda values: str(values.type),
    )
    def test_every_type_is_the_same_instant(
        self, values: pa.Array[Any], write: Write, spill_all: SpillAll
    ) -> None:
        """Files of one folder may each have their own."""
        first = {"user_id": ["a"], "text": ["x"], "created_at": values}
        second = first | {"created_at": pa.array([_NOON], pa.timestamp("us", "UTC"))}
        write("d/a.parquet", first)
        path = write("d/b.parquet", second)
        (user,) = spill_all(Inputs(interactions=(str(Path(path).parent),))).values()
        assert [each.created_at for each in user.profile.interactions] == [_NOON] * 2

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()], ids=str)
    def test_counts_since_1970_in_any_unit(
        self, unit: Any, kind: pa.DataType, write: Write
    ) -> None:
        """As whole numbers, floats, or text of an export."""
        count = int(_NOON.timestamp()) * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        ts = pa.array([count], pa.int64()).cast(kind, safe=False)
        if pa.types.is_string(kind):
            ts = pa.array([f" {count} "])
        path = write("a.parquet", {"user_id": ["a"], "text": ["x"], "ts": ts})
        columns = {"interactions": {"created_at": ColumnSource(column="ts", unit=unit)}}
        found = find_user(Inputs(interactions=(path,), columns=columns), "a")
        assert found is not None
        assert found.profile.interactions[0].created_at == _NOON

    @pytest.mark.parametrize("int96", [False, True], ids=["us", "int96"])
    def test_far_times_are_kept_to_the_ends_of_the_calendar(
        self, int96: Any, tmp_path: Path, spill_all: SpillAll
    ) -> None:
        """The years 1500, 2500 and 9999 are beyond nanoseconds, not beyond us."""
        times = [datetime(year, 12, 31, tzinfo=UTC) for year in (1500, 2500, 9999)]
        table = pa.table({"user_id": ["a"] * 3, "text": ["x"] * 3, "created_at": times})
        pq.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=int96)
        (user,) = spill_all(Inputs(interactions=(str(tmp_path / "a.parquet"),))).values()
        assert [each.created_at for each in user.profile.interactions] == times

    @pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
    def test_the_first_and_the_last_moment_never_stop_a_file(self, zone: str, write: Write) -> None:
        """Where a zone moves a time out of the calendar it counts as missing."""
        naive = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)]  # noqa: DTZ001 - naive
        at = pa.array(naive, pa.timestamp("us"))
        texts = pa.array([time.isoformat() for time in naive])
        for values in (at, texts):
            columns = {"user_id": ["a"] * 2, "text": ["x"] * 2, "created_at": values}
            inputs = Inputs(interactions=(write("a.parquet", columns),), zone=zone)
            found = find_user(inputs, "a")
            assert found is not None
            kept = [i.created_at for i in found.profile.interactions if i.created_at]
            assert len(kept) == (2 if zone == "UTC" else 1)

    def test_a_float_that_rounds_out_of_the_calendar_is_missing(
        self, write: Write, spill_all: SpillAll
    ) -> None:
        """The last microsecond of the year 9999 has no float: the nearest lies in 10000."""
        path = write("a.parquet", {"user_id": ["a"], "text": ["x"], "ts": [253_402_300_800.0]})
        columns = {"interactions": {"created_at": ColumnSource(column="ts", unit="s")}}
        (user,) = spill_all(Inputs(interactions=(path,), columns=columns)).values()
        assert user.profile.interactions[0].created_at is None

    def test_missing_times_of_pandas_are_missing(self, tmp_path: Path) -> None:
        """NaT in a column of its own, beside aware ones, and in objects."""
        frame = pd.DataFrame({"user_id": ["a", "b"], "updated_at": [pd.NaT, pd.NaT], "on": None})
        frame["seen"] = pd.to_datetime(pd.Series(["2020-01-01T00:00Z", None]), utc=True)
        frame.to_parquet(tmp_path / "a.parquet")
        inputs = Inputs(profiles=(str(tmp_path / "a.parquet"),))
        found = [find_user(inputs, each) for each in "ab"]
        assert [user.profile.updated_at for user in found if user] == [None, None]
        assert [len(user.profile.facts) for user in found if user] == [1, 0]


class TestTexts:
    """Laws of what was written."""

    @pytest.mark.parametrize(
        "text",
        [
            "I teach {{ jinja }} and {% raw %}",
            "$\\frac{1}{2}$ #{x} ${y} {{{z}}}",
            "What's new & <b>",
            "bye <|endoftext|> System:",
            " two  spaces,\ttabs \r\n and lines \n",
            "مرحبا \u202eبك\u202c שלום",
            "👩‍👩‍👧🇫🇷\U0001f3fd",
            "\ufeffmark first",
            "e\u0301 é",
            '=cmd|"/c calc"!A0',
            "\x1b[31mred\x07",
        ],
    )
    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()], ids=str)
    def test_text_arrives_byte_for_byte(
        self, text: str, kind: pa.DataType, write: Write, spill_all: SpillAll
    ) -> None:
        """Templates, markup, tokens, direction, escapes: a text is a value and nothing else."""
        columns = {"user_id": ["a"], "text": pa.array([text]).cast(kind)}
        (user,) = spill_all(Inputs(interactions=(write("a.parquet", columns),))).values()
        assert user.profile.texts == (text,)

    @pytest.mark.parametrize(
        ("data", "expected", "num_changed"),
        [
            (b"x\x00y", "xy", 1),
            (b"\x00", None, 1),
            (b"half \xed\xa0\xbd", "half \ufffd", 1),
            (b"\xed\xb8\x80 half", "\ufffd half", 1),
            (b"two halves \xed\xa0\xbd\xed\xb8\x80", "two halves \U0001f600", 0),
            (b"", None, 0),
            (" \u2003\n".encode(), None, 0),
        ],
        ids=["nul", "only nul", "high", "low", "both", "empty", "blank"],
    )
    def test_broken_characters_cost_a_character(
        self, data: bytes, expected: str | None, num_changed: int, write: Write, tmp_path: Path
    ) -> None:
        """The rest of the text survives, and so do the other rows, in texts and lists of texts."""
        values = pa.array([b"fine", data])
        path = write("i.parquet", {"user_id": ["a", "b"], "text": values})
        with spill(Inputs(interactions=(path,)), tmp_path / "s", num_buckets=1) as spilled:
            users = {user.profile.user_id: user.profile.texts for user in spilled.read(0)}
        assert users == {"a": ("fine",), "b": (expected,) if expected else ()}
        assert spilled.report.count_of("interactions", "text", Effect.CHANGED) == num_changed
        lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), values.view(pa.string()))
        path = write("p.parquet", {"user_id": ["a", "b"], "traits": lists})
        with spill(Inputs(profiles=(path,)), tmp_path / "s", num_buckets=1) as spilled:
            traits = {user.profile.user_id: user.profile.traits for user in spilled.read(0)}
        assert traits == users
        changed = [f for f in spilled.report.findings if f.effect is Effect.CHANGED]
        assert [(f.count, f.first_row) for f in changed] == [(1, 1)] * num_changed

    @pytest.mark.parametrize("column", ["text", "traits", "bio"])
    def test_bytes_of_another_encoding_name_the_row(
        self, column: str, write: Write, tmp_path: Path
    ) -> None:
        """They are not guessed at; a list has the row it stands in."""
        values = pa.array([b"ok", "naïve".encode("latin-1")]).view(pa.string())
        if column == "traits":
            values = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), values)
        path = write("a.parquet", {"user_id": ["a", "b"], "item_id": ["1", "2"], column: values})
        place = {"interactions" if column == "text" else "profiles": (path,)}
        with pytest.raises(InputError, match="not valid UTF-8") as caught:
            spill(Inputs.model_validate(place), tmp_path / "s", num_buckets=1)
        assert (caught.value.file, caught.value.column, caught.value.row) == (path, column, 1)


class TestFolders:
    """Laws of tables that lie in many files."""

    @pytest.mark.parametrize(
        "bios",
        [
            [pa.nulls(1), pa.array(["funny"])],
            [pa.array([None], pa.string()), pa.array(["funny"], pa.large_string())],
            [pa.array([None], pa.int32()).cast(pa.string()), pa.array([b"funny"])],
            [None, pa.array(["funny"]).dictionary_encode()],
        ],
        ids=["null", "large", "binary", "missing"],
    )
    def test_shards_differ_and_their_order_changes_nothing(
        self, bios: list[Any], write: Write, spill_all: SpillAll
    ) -> None:
        """A column without a value has no type, or is not there; extra and shuffled ones go."""
        for names in itertools.permutations(["0", "1"]):
            folder = f"d{names[0]}"
            first: dict[str, Any] = {"user_id": ["a"], "more": [1]}
            second = {"name": bios[1], "user_id": pa.array(["b"], pa.large_string())}
            if bios[0] is not None:
                first["name"] = bios[0]
            write(f"{folder}/{names[0]}.parquet", first)
            path = write(f"{folder}/{names[1]}.parquet", second)
            users = spill_all(Inputs(profiles=(str(Path(path).parent),)))
            assert {u: user.profile.name for u, user in users.items()} == {"a": None, "b": "funny"}
            assert users["a"].profile.facts == {"more": 1}

    def test_a_required_column_missing_in_one_shard_names_it(
        self, write: Write, tmp_path: Path
    ) -> None:
        """Before any row of the others is read."""
        write("d/a.parquet", {"user_id": ["a"], "text": ["x"]})
        path = write("d/b.parquet", {"user_id": ["a"], "lang": ["en"]})
        with pytest.raises(InputError, match="need a column text or item_id") as caught:
            spill(Inputs(interactions=(str(Path(path).parent),)), tmp_path / "s", num_buckets=1)
        assert (caught.value.file, caught.value.column) == (path, "text")

    def test_files_without_rows_are_files(self, write: Write, tmp_path: Path) -> None:
        """Whatever their types say; a file without columns lacks the required one."""
        pd.DataFrame({"user_id": [], "text": []}, dtype="str").to_parquet(tmp_path / "a.parquet")
        empty = {"user_id": pa.nulls(0), "text": pa.array([], pa.int64()).cast(pa.string())}
        paths = (str(tmp_path / "a.parquet"), write("b.parquet", empty))
        with spill(Inputs(interactions=paths), tmp_path / "s", num_buckets=1) as spilled:
            assert list(spilled.read(0)) == []
            assert spilled.report.lines() == ("read 0 interactions",)
        path = write("c.parquet", pa.table({}))
        with pytest.raises(InputError, match="the columns are none"):
            spill(Inputs(interactions=(path,)), tmp_path / "s", num_buckets=1)


_ODD = st.sampled_from(["", " ", "NaN", "007", "a\x00b", "e\u0301", "{{ x }}", "\u202e", "1.0"])
_WORDS = _ODD | st.text(st.characters(codec="utf-8"), max_size=12)
_ANY_TIME = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001 - naive


@st.composite
def _arrays(draw: st.DrawFn, size: int) -> pa.Array[Any]:
    """Draw a column of any type that Parquet holds, of any values of it."""
    int64 = st.integers(-(2**63), 2**63 - 1)
    lists = st.lists(st.none() | _WORDS, max_size=3)
    struct = pa.struct({"text": pa.string(), "created_at": pa.int64(), "rating": pa.float32()})
    structs = st.fixed_dictionaries(
        {"text": st.none() | _WORDS, "created_at": st.none() | int64, "rating": st.none()}
    )
    kinds: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
        *((kind, _WORDS) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        *((kind, st.binary(max_size=8)) for kind in (pa.binary(), pa.large_binary())),
        (pa.binary(16), st.binary(min_size=16, max_size=16)),
        (pa.binary(3), st.binary(min_size=3, max_size=3)),
        (pa.bool_(), st.booleans()),
        (pa.int64(), int64),
        (pa.int8(), st.integers(-128, 127)),
        (pa.uint64(), st.integers(0, 2**64 - 1)),
        (pa.float64(), st.floats()),
        (pa.float32(), st.floats(width=32)),
        (pa.float16(), st.floats(width=16)),
        (pa.decimal128(20, 0), st.integers(-(10**18), 10**18).map(Decimal)),
        (pa.decimal128(5, 2), st.decimals(-99, 99, places=2)),
        *((pa.timestamp(unit), int64) for unit in ("ms", "us", "ns")),
        (pa.timestamp("us", "Europe/Berlin"), int64),
        (pa.timestamp("ms", "No/Where"), st.integers(-(2**40), 2**40)),
        (pa.timestamp("us"), _ANY_TIME),
        (pa.date32(), st.integers(-(2**31), 2**31 - 1)),
        (pa.date64(), st.integers(-(2**31), 2**31 - 1).map(lambda day: day * 86_400_000)),
        (pa.time64("us"), st.integers(0, 86_399_999_999)),
        (pa.duration("s"), st.integers(-(2**40), 2**40)),
        (pa.list_(pa.string()), lists),
        (pa.large_list(pa.large_string()), lists),
        (pa.list_(pa.list_(pa.string())), st.lists(lists, max_size=2)),
        (pa.list_(pa.int16()), st.lists(st.integers(-9, 9), max_size=2)),
        (pa.list_(struct), st.lists(st.none() | structs, max_size=3)),
        (struct, structs),
        (pa.map_(pa.string(), pa.int8()), st.lists(st.tuples(_WORDS, st.just(1)), max_size=2)),
    ]
    kind, values = draw(st.sampled_from(kinds) | st.just((pa.string(), _WORDS)))
    column = pa.array(draw(st.lists(st.none() | values, min_size=size, max_size=size)), kind)
    if kind == pa.binary(16) and draw(st.booleans()):
        return column.cast(pa.uuid())
    if kind in (pa.binary(), pa.large_binary()) and draw(st.booleans()):
        # Bytes that say they are text, as some writers leave them.
        return column.cast(pa.binary()).view(pa.string())
    if kind in (pa.string(), pa.int64()) and draw(st.booleans()):
        return column.dictionary_encode()
    return draw(st.sampled_from([column, pa.nulls(size)])) if draw(st.booleans()) else column


_NAMES = {
    "profiles": ("name", "traits", "opt_out", "updated_at", "interactions", "bio", "facts"),
    "interactions": ("text", "kind", "item_id", "rating", "created_at", "thread_id", "x"),
    "requests": ("kind", "subject_id", "subject", "thread_id", "voice_id", "tone"),
}


def _fitting(name: str, size: int) -> st.SearchStrategy[pa.Array[Any]]:
    """Draw a column of a type that the contract takes."""
    time = pa.timestamp("us")
    values: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
        "user_id": (pa.int32(), st.integers(0, 3)),
        "traits": (pa.list_(pa.string()), st.lists(st.none() | _WORDS, max_size=3)),
        "interactions": (pa.list_(pa.string()), st.lists(st.none() | _WORDS, max_size=3)),
        "opt_out": (pa.bool_(), st.booleans()),
        "rating": (pa.float32(), st.floats(width=32)),
        "updated_at": (time, st.integers(-(2**63), 2**63 - 1)),
        "created_at": (time, st.integers(-(2**63), 2**63 - 1)),
    }
    kind, each = values.get(name, (pa.string(), _WORDS))
    column = st.lists(st.none() | each, min_size=size, max_size=size)
    return column.map(lambda drawn: pa.array(drawn, kind))


@st.composite
def _tables(draw: st.DrawFn) -> dict[str, pa.Table]:
    table = draw(st.sampled_from(sorted(_NAMES)))
    files = {}
    for number in range(draw(st.integers(1, 2))):
        size = draw(st.integers(0, 4))
        names = draw(st.lists(st.sampled_from(_NAMES[table]), unique=True, max_size=4))
        columns = {"user_id": draw(_fitting("user_id", size) | _arrays(size))}
        if not draw(st.integers(0, 9)):
            columns = {}
        # Mostly what fits: a file with nothing but odd columns is refused for the first of them.
        for name in names:
            is_odd = not draw(st.integers(0, 3))
            columns[name] = draw(_arrays(size) if is_odd else _fitting(name, size))
        if draw(st.integers(0, 9)):
            required = {"interactions": "text", "requests": "kind"}.get(table, "user_id")
            columns.setdefault(required, pa.array([f"post {n}" for n in range(size)], pa.string()))
        files[f"{table}/{number}.parquet"] = pa.table(columns)
    return files


@settings(
    max_examples=int(os.environ.get("NUM_TABLES", "150")),
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(_tables(), st.sampled_from(["UTC", "Asia/Tokyo"]), st.booleans())
def test_any_table_gives_users_or_a_reason(
    tables: dict[str, pa.Table],
    zone: str,
    int96: bool,  # noqa: FBT001 - drawn
) -> None:
    """Never an exception of another library, and a look-up finds what the batch finds."""
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            Path(folder, name).parent.mkdir(exist_ok=True)
            try:
                pq.write_table(table, Path(folder, name), use_deprecated_int96_timestamps=int96)
            except pa.ArrowException:
                return  # nobody has a file that cannot be written
        (kind,) = {name.partition("/")[0] for name in tables}
        columns: dict[str, Any] = {}
        if kind != "requests":
            columns = {"interactions": {"created_at": {"column": "created_at", "unit": "ms"}}}
            is_there = any("created_at" in table.column_names for table in tables.values())
            columns = columns if is_there and kind == "interactions" else {}
        inputs = Inputs.model_validate(
            {kind: [str(Path(folder, kind))], "columns": columns, "zone": zone}
        )
        refused: InputError | None = None
        try:
            with spill(inputs, Path(folder, "s"), num_buckets=2) as spilled:
                users = [user for bucket in range(2) for user in spilled.read(bucket)]
                report = spilled.report
        except InputError as error:
            refused = error
        event("refused" if refused else "read")
        if refused is not None:
            assert refused.file is not None
            assert refused.message
            return
        num_rows = sum(len(table) for table in tables.values())
        assert dict(report.num_rows)[kind] == num_rows
        assert len({user.profile.user_id for user in users}) == len(users)
        for user in users:
            assert find_user(inputs, user.profile.user_id) == user


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
            st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
        ),
        max_size=8,
    ),
    st.data(),
)
def test_the_same_logical_rows_whatever_the_types(
    rows: list[tuple[int, str | None, datetime | None]], data: st.DataObject
) -> None:
    """Ids, texts and times in drawn types, cut into files anywhere: equal users."""
    rows = [(user, text, time and time.replace(microsecond=0)) for user, text, time in rows]

    def encode(part: list[tuple[int, str | None, datetime | None]]) -> pa.Table:
        users, texts, times = zip(*part, strict=True) if part else ((), (), ())
        ids = data.draw(st.sampled_from([*_WHOLE[2:4], *_WHOLE[6:8], *_WHOLE[8:12], *_TEXT[:5]]))
        text = data.draw(st.sampled_from(_TEXT[:6]))
        unit = data.draw(st.sampled_from(["s", "ms", "us", "ns"]))
        kind = pa.timestamp(unit, data.draw(st.sampled_from([None, "UTC", "Asia/Tokyo"])))
        at = pa.array(times, pa.timestamp("s"))
        columns = {
            "created_at": at.cast(kind)
            if kind.tz is None
            else at.cast(pa.int64()).cast(pa.timestamp("s", kind.tz)).cast(kind),
            "user_id": _ids(users, ids),
            "text": pa.array(texts, pa.string()).cast(text),
        }
        return pa.table({name: columns[name] for name in data.draw(st.permutations(list(columns)))})

    def read(tables: list[pa.Table], folder: str) -> list[UserInputs]:
        for number, table in enumerate(tables):
            pq.write_table(table, Path(folder, f"{number}.parquet"))
        inputs = Inputs(interactions=(folder,))
        with spill(inputs, Path(folder, "s"), num_buckets=1) as spilled:
            return list(spilled.read(0))

    cut = data.draw(st.integers(0, len(rows)))
    plain = pa.table(
        {
            "user_id": pa.array([str(row[0]) for row in rows], pa.string()),
            "text": pa.array([row[1] for row in rows], pa.string()),
            "created_at": pa.array([row[2] for row in rows], pa.timestamp("us")),
        }
    )
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        assert read([encode(rows[cut:]), encode(rows[:cut])], one) == read([plain], two)


def test_dates_are_the_first_moment_of_the_day(write: Write, spill_all: SpillAll) -> None:
    """In the zone of the settings, in either type of date."""
    for kind in (pa.date32(), pa.date64()):
        day = pa.array([date(2026, 6, 1)], kind)
        path = write("a.parquet", {"user_id": ["a"], "text": ["x"], "created_at": day})
        (user,) = spill_all(Inputs(interactions=(path,), zone="Europe/Berlin")).values()
        assert user.profile.interactions[0].created_at == datetime(2026, 5, 31, 22, tzinfo=UTC)
