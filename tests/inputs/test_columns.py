"""Laws of columns: matched by name, cast to the contract, cleaned by one rule."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from personalm.errors import InputError, SettingsError
from personalm.inputs.columns import Where
from personalm.inputs.contract import FACTS, INTERACTIONS, ITEMS, PROFILES, REQUESTS, Contract
from personalm.inputs.facts import decode_facts, encode_facts
from personalm.inputs.report import Tally, make_report
from personalm.inputs.tables import InputTable
from personalm.settings import ColumnSource, Inputs

Write = Callable[..., str]
_TIME = datetime(2004, 11, 15, 12, 18, tzinfo=UTC)


def _read(contract: Contract, inputs: Inputs, tally: Tally | None = None) -> list[dict[str, Any]]:
    tally = tally or Tally(contract.table)
    batches = [batch.rows for batch in InputTable(inputs, contract).batches(tally)]
    return pa.Table.from_batches(batches, schema=contract.schema).to_pylist()


def _profiles(*paths: str, **settings: Any) -> list[dict[str, Any]]:
    return _read(PROFILES, Inputs(profiles=paths, **settings))


def test_shards_may_differ_in_types_order_and_optional_columns(write: Write) -> None:
    """Every file is read against the contract: the order of the files changes no row."""
    shards = [
        {"user_id": ["a"], "name": pa.nulls(1), "language": ["en"]},
        {
            "language": pa.array(["de"], pa.large_string()),
            "user_id": pa.array(["b"]).dictionary_encode(),
        },
        {
            "user_id": pa.array(["c"], pa.string_view()),
            "name": pa.array(["Cy"]).dictionary_encode(),
        },
        {"user_id": ["d"], "language": pa.array([None], pa.float64()).cast(pa.string())},
    ]
    expected = {"a": (None, "en"), "b": (None, "de"), "c": ("Cy", None), "d": (None, None)}
    for number, order in enumerate(itertools.permutations(shards)):
        paths = [write(f"{number}/{i}.parquet", shard) for i, shard in enumerate(order)]
        rows = _profiles(*paths)
        assert {r["user_id"]: (r["name"], r["language"]) for r in rows} == expected


def test_a_missing_required_column_names_what_is_there_and_the_remedy(write: Write) -> None:
    """The message has the file, the column, the likely one, and the lines for the settings."""
    path = write("a.parquet", {"userId": ["a"], "text": ["x"]})
    with pytest.raises(InputError) as caught:
        InputTable(Inputs(interactions=(path,)), INTERACTIONS)
    message = str(caught.value)
    assert (caught.value.file, caught.value.column) == (path, "user_id")
    assert "the columns are userId, text" in message
    assert "Did you mean userId?" in message
    assert '[inputs.columns.interactions]\n    user_id = "userId"' in message


def test_an_interaction_needs_a_text_or_an_item(write: Write) -> None:
    """Either is enough, neither is an error of the file, in whichever shard it is."""
    whole = write("a.parquet", {"user_id": ["a"], "text": ["x"]})
    rated = write("b.parquet", {"user_id": ["a"], "item_id": [1], "rating": [4]})
    (first, second) = _read(INTERACTIONS, Inputs(interactions=(whole, rated)))
    assert (first["text"], first["item_id"]) == ("x", None)
    assert (second["text"], second["item_id"], second["rating"]) == (None, "1", 4.0)
    bare = write("c.parquet", {"user_id": ["a"]})
    with pytest.raises(InputError, match="need a column text or item_id") as caught:
        InputTable(Inputs(interactions=(whole, bare)), INTERACTIONS)
    assert caught.value.file == bare


def test_columns_are_mapped_through_the_settings(write: Write) -> None:
    """Other names and a unit for times; the mapped column wins over one of the same name."""
    path = write("a.parquet", {"uid": [1], "body": ["x"], "text": ["y"], "ts": [0]})
    columns = {
        "user_id": ColumnSource(column="uid"),
        "text": ColumnSource(column="body"),
        "created_at": ColumnSource(column="ts", unit="s"),
    }
    (row,) = _read(INTERACTIONS, Inputs(interactions=(path,), columns={"interactions": columns}))
    assert (row["user_id"], row["text"]) == ("1", "x")
    assert row["created_at"] == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_mapping_of_what_is_not_there_is_an_error(write: Write) -> None:
    """A misspelt column would be missing values without a word."""
    path = write("a.parquet", {"user_id": ["a"], "lang": ["en"]})

    def read(name: str, **source: Any) -> None:
        columns = {"profiles": {name: ColumnSource(**source)}}
        InputTable(Inputs(profiles=(path,), columns=columns), PROFILES)

    read("language", column="lang")
    with pytest.raises(InputError, match="Did you mean lang"):
        read("language", column="langg")
    with pytest.raises(SettingsError, match="Did you mean language"):
        read("languag", column="lang")
    with pytest.raises(SettingsError, match="only a time has a unit"):
        read("language", column="lang", unit="s")
    with pytest.raises(SettingsError, match="only a text has markup"):
        read("user_id", column="user_id", markup="html")
    with pytest.raises(SettingsError, match="only a text or an id can be one value"):
        read("opt_out", value="true")


@pytest.mark.parametrize("source", [{}, {"column": "a", "value": "b"}], ids=["none", "both"])
def test_a_mapping_has_one_source(source: dict[str, Any]) -> None:
    """A column or a value, never both and never neither."""
    with pytest.raises(ValidationError, match="name a column or a value"):
        ColumnSource(**source)


def test_a_value_of_the_settings_is_that_of_every_row(write: Write) -> None:
    """It wins over a column of the same name, which stays an extra; rows are found by it."""
    path = write("a.parquet", {"topic": ["x", "y"], "kind": ["old", "older"]})
    columns = {
        "user_id": ColumnSource(value="reader"),
        "kind": ColumnSource(value="note"),
        "subject": ColumnSource(column="topic"),
    }
    inputs = Inputs(requests=(path,), columns={"requests": columns})
    rows = _read(REQUESTS, inputs)
    assert [(r["user_id"], r["kind"], r["subject"]) for r in rows] == [
        ("reader", "note", "x"),
        ("reader", "note", "y"),
    ]
    assert [r[FACTS] for r in rows] == ['{"kind": "old"}', '{"kind": "older"}']
    table = InputTable(inputs, REQUESTS)
    for wanted, count in (("reader", 2), ("nobody", 0)):
        where = Where(ids={"user_id": frozenset({wanted})})
        found = table.batches(Tally("requests"), where=where)
        assert sum(len(batch.rows) for batch in found) == count


def test_markup_goes_before_a_text_is_cut(write: Write) -> None:
    """The limit counts what is read, not tags; lists of text are freed of markup as well."""
    path = write(
        "a.parquet", {"user_id": ["a"], "name": ["<b>" * 50 + "x" * 120], "traits": ["<i>"]}
    )
    markup = {
        "name": ColumnSource(column="name", markup="html"),
        "traits": ColumnSource(column="traits", markup="html"),
    }
    inputs = Inputs(profiles=(path,), columns={"profiles": markup}, max_text_chars=100)
    (row,) = _read(PROFILES, inputs)
    assert (row["name"], row["traits"]) == ("x" * 100, [])


def test_an_id_that_is_only_in_the_index_of_pandas_is_found(write: Write) -> None:
    """A named index is a column of the file; an unnamed one is told in the message."""
    frame = pd.DataFrame({"name": ["Ada"]}, index=pd.Index(["a"], name="user_id"))
    (row,) = _profiles(write("a.parquet", pa.Table.from_pandas(frame)))
    assert (row["user_id"], row[FACTS]) == ("a", None)
    unnamed = pd.DataFrame({"user_id": ["a"]}, index=[7])
    (row,) = _profiles(write("c.parquet", pa.Table.from_pandas(unnamed, preserve_index=True)))
    assert row[FACTS] is None
    frame.index.name = None
    with pytest.raises(InputError, match="__index_level_0__"):
        _profiles(write("b.parquet", pa.Table.from_pandas(frame)))


def test_a_column_that_is_there_twice_is_refused(write: Write) -> None:
    """Nothing says which of the two is meant."""
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["user_id", "user_id"])
    with pytest.raises(InputError, match="twice"):
        _profiles(write("a.parquet", table))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("name", [1]),
        ("traits", [1]),
        ("traits", [[["a"]]]),
        ("opt_out", ["no"]),
        ("updated_at", [True]),
        ("updated_at", [1]),
    ],
    ids=str,
)
def test_a_type_that_does_not_fit_is_found_before_a_row_is_read(
    column: str, values: list[Any], write: Write
) -> None:
    """Opening the table is enough to hear of it, with the file and the column."""
    path = write("a.parquet", {"user_id": ["a"], column: values})
    with pytest.raises(InputError) as caught:
        InputTable(Inputs(profiles=(path,)), PROFILES)
    assert (caught.value.file, caught.value.column) == (path, column)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([["a", None, "b"], [], None, [" "]]), [["a", "b"], [], None, []]),
        (pa.array(["one text", None, "", "x"]), [["one text"], None, [], ["x"]]),
        (
            pa.array([[{"b": None}, {"g": "moo"}], [{"g": "a", "b": 1}], [None], None]),
            [["moo"], ["1: a"], [], None],
        ),
        (pa.array([[1, 2], None, None, None]), [["1", "2"], None, None, None]),
        (pa.nulls(4), [None] * 4),
    ],
    ids=["texts", "text", "structs", "numbers", "nothing"],
)
def test_traits_are_lists_of_texts_in_any_form(
    values: pa.Array[Any], expected: list[Any], write: Write
) -> None:
    """Items that are there are kept, in order; missing ones are skipped."""
    rows = _profiles(write("a.parquet", {"user_id": ["a", "b", "c", "d"], "traits": values}))
    assert [row["traits"] for row in rows] == expected


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.int64(), pa.float64()], ids=str)
def test_flags_may_be_numbers(kind: pa.DataType, write: Write) -> None:
    """0 and 1 are flags in any number type, which pandas makes of flags with gaps."""
    flags = pa.array([True, False, None]).cast(pa.int8()).cast(kind)
    rows = _profiles(write("a.parquet", {"user_id": ["a", "b", "c"], "opt_out": flags}))
    assert [row["opt_out"] for row in rows] == [True, False, None]


def test_a_flag_that_is_neither_0_nor_1_is_never_guessed(write: Write) -> None:
    """Who has opted out is not a matter of taste; the row is named."""
    path = write("a.parquet", {"user_id": ["a", "b"], "opt_out": [0, 2]})
    with pytest.raises(InputError, match="neither 0 nor 1") as caught:
        _profiles(path)
    assert caught.value.row == 1


def test_ratings_are_numbers_of_any_type(write: Write) -> None:
    """NaN and infinity are missing."""
    for values in ([4, None], pa.array([Decimal("4.0"), None]), [4.0, float("inf")]):
        path = write("a.parquet", {"user_id": ["a", "a"], "item_id": [1, 2], "rating": values})
        rows = _read(INTERACTIONS, Inputs(interactions=(path,)))
        assert [row["rating"] for row in rows] == [4.0, None]


def test_text_is_kept_byte_for_byte_but_for_nul_and_length(write: Write) -> None:
    """Braces, tabs, carriage returns and outer spaces stay; NUL goes and the rest survives."""
    texts = ["{{ x }} {% raw %}", " a\r\n\tb ", "x\x00y", "\x00", "  \n", "", "ä" * 150, None]
    path = write("a.parquet", {"user_id": list("abcdefgh"), "text": texts})
    tally = Tally("interactions")
    rows = _read(INTERACTIONS, Inputs(interactions=(path,), max_text_chars=100), tally)
    assert [row["text"] for row in rows] == [
        *["{{ x }} {% raw %}", " a\r\n\tb ", "xy", None, None, None, "ä" * 100, None]
    ]
    assert make_report([tally]).lines() == (
        "read 8 interactions",
        "interactions.text: 2 texts held NUL characters, which were removed",
        "interactions.text: 1 texts were cut to 100 characters",
    )


@pytest.mark.parametrize("column", ["text", "user_id", "thread_id"])
@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()], ids=str)
def test_bytes_that_are_not_utf8_name_file_column_and_row(
    column: str, kind: pa.DataType, write: Write
) -> None:
    """One bad cell is told by its place, and none of its text is in the message."""
    offsets = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 2, 5)))
    bad = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, pa.py_buffer(b"ok\xff\xfez")])
    values = bad if pa.types.is_binary(kind) else bad.view(pa.string()).cast(kind)
    columns = {"user_id": ["a", "b"], "text": ["x", "y"], column: values}
    path = write("a.parquet", columns)
    with pytest.raises(InputError, match="not valid UTF-8") as caught:
        _read(INTERACTIONS, Inputs(interactions=(path,)))
    assert (caught.value.file, caught.value.column, caught.value.row) == (path, column, 1)
    assert caught.value.message == "the text is not valid UTF-8"


def test_row_numbers_count_through_the_whole_file(write: Write) -> None:
    """A row in a late row group has its number in the file."""
    path = write(
        "a.parquet",
        {"user_id": [1.0 if i == 70 else None for i in range(90)], "text": ["x"] * 90},
        row_group_size=8,
    )
    with pytest.raises(InputError) as caught:
        _read(INTERACTIONS, Inputs(interactions=(path,)))
    assert caught.value.row == 70


def test_extra_columns_are_facts_and_what_does_not_fit_is_left_out(write: Write) -> None:
    """Plain values reach the templates in their types; a missing one has no entry."""
    path = write(
        "a.parquet",
        {
            "item_id": [1],
            "title": ["T"],
            "author": pa.array(["A"]).dictionary_encode(),
            "year": [1999],
            "price": pa.array([Decimal("9.50")]),
            "score": [float("nan")],
            "gone": pa.nulls(1),
            "sold": [True],
            "day": [date(2020, 1, 2)],
            "at": [_TIME],
            "tags": [["x", "y"]],
            "shape": [{"a": 1}],
            "raw": [b"\xff"],
            "blank": [" "],
        },
    )
    (row,) = _read(ITEMS, Inputs(items=(path,)))
    facts = decode_facts(row[FACTS])
    assert facts == {
        "author": "A",
        "year": 1999,
        "price": 9.5,
        "sold": True,
        "day": "2020-01-02",
        "at": _TIME,
        "tags": ("x", "y"),
    }
    assert isinstance(facts["year"], int)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1),
        st.one_of(
            st.text(st.characters(codec="utf-8")),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.booleans(),
            st.datetimes(timezones=st.just(UTC)),
            st.lists(st.text(st.characters(codec="utf-8"))).map(tuple),
        ),
    )
)
def test_facts_come_back_as_they_went(facts: dict[str, Any]) -> None:
    """What lies on disk between folder and reader changes no value and no type."""
    (text,) = encode_facts({name: [value] for name, value in facts.items()}, 1).to_pylist()
    back = decode_facts(text)
    assert back == facts
    assert [type(v) for v in back.values()] == [type(v) for v in facts.values()]


def test_a_folder_gives_a_column_and_must_agree_with_the_file(write: Write) -> None:
    """A user whose rows lie in a folder of the user's id is that very text."""
    path = write("d/user_id=007/0.parquet", {"text": ["x"]})
    root = str(Path(path).parents[1])
    (row,) = _read(INTERACTIONS, Inputs(interactions=(root,)))
    assert (row["user_id"], row["text"]) == ("007", "x")
    write("d/user_id=008/0.parquet", {"text": ["x", "y"], "user_id": ["008", "009"]})
    with pytest.raises(InputError, match="disagree") as caught:
        _read(INTERACTIONS, Inputs(interactions=(root,)))
    assert caught.value.row == 1


def test_a_table_without_rows_is_a_valid_table(write: Write) -> None:
    """Empty files keep their columns, whatever type an empty column has."""
    frame = pd.DataFrame({"user_id": [], "text": []}, dtype="str")
    assert (
        _read(INTERACTIONS, Inputs(interactions=(write("a.parquet", pa.Table.from_pandas(frame)),)))
        == []
    )
    path = write("b.parquet", {"user_id": pa.nulls(0), "name": pa.nulls(0)})
    assert _profiles(path) == []


def test_a_wrong_zone_is_told_even_where_no_time_needs_it(write: Write) -> None:
    """Settings are checked when the table is opened."""
    with pytest.raises(SettingsError, match=r"inputs\.zone"):
        _profiles(write("a.parquet", {"user_id": ["a"]}), zone="Mars/Base")


@pytest.mark.parametrize("column", ["x", "interactions"])
def test_a_column_that_is_there_twice_and_is_not_asked_for_does_no_harm(
    column: str, write: Write
) -> None:
    """It is told of as unused; which of the two a table means nobody needs to know."""
    lists = pa.array([["a"]])
    columns = [pa.array(["a"]), lists if column == "interactions" else pa.array([1]), lists]
    table = pa.Table.from_arrays(columns, names=["user_id", column, column])
    path = write("a.parquet", table)
    tally = Tally("profiles")

    rows = _read(PROFILES, Inputs(profiles=(path,)), tally)

    assert [row["user_id"] for row in rows] == ["a"]
    assert column in str(make_report([tally]).findings)


def test_a_date_that_no_calendar_has_is_no_fact(write: Write) -> None:
    """It is counted as missing; Arrow would write its number of days, in words."""
    days = pa.array([2**31 - 1, -(2**31), 0, None], pa.int32()).cast(pa.date32())
    path = write("a.parquet", {"user_id": list("abcd"), "born": days})
    tally = Tally("profiles")

    rows = _read(PROFILES, Inputs(profiles=(path,)), tally)

    assert [decode_facts(row[FACTS]) for row in rows] == [{}, {}, {"born": "1970-01-01"}, {}]
    assert "outside the years 1 to 9999" in str(make_report([tally]).findings)
