"""Laws of looking one user up."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalm.errors import InputError
from personalm.inputs import columns
from personalm.inputs.lookup import find_user
from personalm.inputs.rawrows import RawReader
from personalm.inputs.spill import spill
from personalm.settings import Inputs, Replies

Write = Callable[..., str]

_IDS = st.sampled_from(["1", "2", "3", "007", "-4", "é", "e\u0301", "", " "])
_NUMBERS = st.sampled_from([1, 2, 3, 7, -4])
_MAYBE_ID = st.none() | _IDS
_TIMES = st.none() | st.integers(0, 3).map(lambda m: datetime(2026, 1, 1, 0, m, tzinfo=UTC))
_TEXTS = st.none() | st.sampled_from(["hello", "hello there", "", "\x00", "ünï"])
_HISTORY = pa.list_(pa.struct({"text": pa.string(), "thread_id": pa.string()}))
_HISTORIES = st.none() | st.lists(
    st.none() | st.fixed_dictionaries({"text": _TEXTS, "thread_id": _MAYBE_ID}), max_size=3
)

_REPLIES = st.builds(
    Replies,
    voice_kinds=st.just(("answer",)),
    voice_id=st.none() | _IDS,
    instructions=st.none() | st.just("say sorry"),
    answered=st.booleans(),
)


@st.composite
def _tables(draw: st.DrawFn) -> dict[str, dict[str, pa.Array[Any]]]:
    """Draw three tables that share a few users; ids of each table may be text or numbers."""

    def users(size: int, *, missing: bool = True) -> pa.Array[Any]:
        each = draw(st.sampled_from([_IDS, _NUMBERS]))
        values = draw(st.lists(each | st.none() if missing else each, min_size=size, max_size=size))
        kind = pa.int64() if each is _NUMBERS else pa.string()
        kept = values if missing else [v if str(v).strip() else "1" for v in values]
        array = pa.array(kept, kind)
        return array.dictionary_encode() if draw(st.booleans()) else array

    def column(values: st.SearchStrategy[Any], size: int, kind: pa.DataType) -> pa.Array[Any]:
        return pa.array(draw(st.lists(values, min_size=size, max_size=size)), kind)

    num_profiles, num_texts = draw(st.integers(0, 6)), draw(st.integers(0, 14))
    num_requests = draw(st.integers(0, 6))
    time = pa.timestamp("us", "UTC")
    return {
        "profiles": {
            "user_id": users(num_profiles),
            "name": column(_TEXTS, num_profiles, pa.string()),
            "updated_at": column(_TIMES, num_profiles, time),
            "opt_out": column(st.none() | st.booleans(), num_profiles, pa.bool_()),
            "interactions": column(_HISTORIES, num_profiles, _HISTORY),
            "age": column(st.none() | st.integers(1, 9), num_profiles, pa.int32()),
        },
        "interactions": {
            "user_id": users(num_texts),
            "text": column(_TEXTS, num_texts, pa.string()),
            "text_id": column(_MAYBE_ID, num_texts, pa.string()),
            "thread_id": column(_MAYBE_ID, num_texts, pa.string()),
            "kind": column(st.sampled_from(["ask", "answer", None]), num_texts, pa.string()),
            "created_at": column(_TIMES, num_texts, time),
        },
        "requests": {
            "user_id": users(num_requests, missing=False),
            "kind": pa.array(["post"] * num_requests, pa.string()),
            "subject_id": pa.array([f"s{n}" for n in range(num_requests)], pa.string()),
            "voice_id": column(_MAYBE_ID, num_requests, pa.string()),
            "thread_id": column(_MAYBE_ID, num_requests, pa.string()),
        },
    }


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    _tables(),
    st.integers(1, 4) | st.just(20),
    st.integers(1, 3),
    st.sampled_from([1, 2, 64]),
    st.none() | _REPLIES,
)
def test_batch_and_lookup_agree_on_every_record(
    tables: dict[str, dict[str, pa.Array[Any]]],
    group_size: int,
    num_buckets: int,
    max_runs: int,
    replies: Replies | None,
) -> None:
    """Profile, interactions, requests, voices and threads are equal for every user."""
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, Any] = {}
        for name, values in tables.items():
            paths[name] = (str(Path(folder, f"{name}.parquet")),)
            pq.write_table(pa.table(values), paths[name][0], row_group_size=group_size)
        if replies is not None:
            del paths["requests"]
        inputs = Inputs(**paths, replies=replies)
        with spill(inputs, Path(folder, "spill"), num_buckets=num_buckets) as spilled:
            users = [user for bucket in range(num_buckets) for user in spilled.read(bucket)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(columns, "_MAX_RUNS", max_runs)
            for user in users:
                assert find_user(inputs, user.profile.user_id) == user
        assert find_user(inputs, "somebody else") is None


@pytest.mark.parametrize("user_id", ["1", 1])
@pytest.mark.parametrize(
    "kind",
    [pa.int64(), pa.int32(), pa.uint64(), pa.string(), pa.large_string(), pa.decimal128(9, 0)],
    ids=str,
)
def test_an_id_is_found_whatever_the_column_type(
    user_id: object, kind: pa.DataType, write: Write
) -> None:
    """The canonical text decides, not the type of column or argument; "01" is somebody else."""
    ids = pa.array(["3", "1", "2"]).cast(kind)
    path = write("a.parquet", {"user_id": ids, "text": list("xyz")}, row_group_size=1)
    found = find_user(Inputs(interactions=(path,)), user_id)
    assert found is not None
    assert found.profile.texts == ("y",)
    assert find_user(Inputs(interactions=(path,)), "01") is None


def test_a_uuid_is_found_by_object_and_by_text(write: Write) -> None:
    """Both are the same canonical id."""
    wanted = uuid.UUID(int=7)
    ids = pa.array([uuid.UUID(int=1).bytes, wanted.bytes], pa.binary(16)).cast(pa.uuid())
    inputs = Inputs(profiles=(write("a.parquet", {"user_id": ids, "name": ["a", "b"]}),))
    for user_id in (wanted, str(wanted)):
        found = find_user(inputs, user_id)
        assert found is not None
        assert found.profile.name == "b"


def test_a_folder_that_names_the_user_is_found(write: Write) -> None:
    """The id may stand in the name of a folder alone."""
    path = write("d/user_id=007/0.parquet", {"text": ["x"]})
    inputs = Inputs(interactions=(str(Path(path).parents[1]),))
    found = find_user(inputs, "007")
    assert found is not None
    assert found.profile.texts == ("x",)
    assert find_user(inputs, 7) is None


def test_row_groups_without_the_user_are_not_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a file sorted by user, one of a hundred row groups is opened."""
    path = write(
        "a.parquet",
        {"user_id": list(range(1000)), "text": [f"t{n}" for n in range(1000)]},
        row_group_size=10,
    )
    groups: list[Any] = []
    read = RawReader.read

    def watch(self: Any, parquet: Any, chosen: Any) -> Any:
        groups.extend(chosen)
        return read(self, parquet, chosen)

    monkeypatch.setattr(RawReader, "read", watch)
    found = find_user(Inputs(interactions=(path,)), 423)
    assert found is not None
    assert found.profile.texts == ("t423",)
    assert set(groups) == {42}


def test_rows_of_others_are_not_converted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a shuffled file the ids are looked at, and the user's own rows made into records."""
    ids = [number * 7919 % 500 for number in range(1000)]
    path = write("a.parquet", {"user_id": ids, "text": [f"t{n}" for n in range(1000)]})
    converted: list[int] = []
    convert = columns.FileReader._convert

    def watch(self: Any, raw: Any, tally: Any) -> Any:
        converted.append(len(raw.rows))
        return convert(self, raw, tally)

    monkeypatch.setattr(columns.FileReader, "_convert", watch)
    found = find_user(Inputs(interactions=(path,)), 423)
    assert found is not None
    assert sorted(found.profile.texts) == sorted(f"t{n}" for n in range(1000) if ids[n] == 423)
    assert sum(converted) == 2


def test_a_bad_value_of_the_user_is_named_with_its_row_in_the_file(write: Write) -> None:
    """Rows between the user's own do not shift the number, over row groups and batches alike."""
    texts = pa.array([b"x"] * 11 + [b"\xff"] + [b"y"] * 4)
    ids = [number % 4 for number in range(16)]
    path = write("a.parquet", {"user_id": ids, "text": texts}, row_group_size=5)
    with pytest.raises(InputError, match="UTF-8") as caught:
        find_user(Inputs(interactions=(path,)), 3)
    assert caught.value.row == 11


def test_a_request_asked_for_twice_is_an_error_here_too(write: Write) -> None:
    """With the numbers of the rows in the file, though not all of it was read."""
    columns = {"user_id": ["a", "b", "c", "b"], "kind": ["post"] * 4, "subject_id": ["s"] * 4}
    path = write("r.parquet", columns, row_group_size=1)
    with pytest.raises(InputError, match="also in row 1") as caught:
        find_user(Inputs(requests=(path,)), "b")
    assert caught.value.row == 3


def test_a_float_is_no_user(write: Write) -> None:
    """The refusal is the one of the tables."""
    path = write("a.parquet", {"user_id": [1], "text": ["x"]})
    with pytest.raises(InputError, match="floats"):
        find_user(Inputs(interactions=(path,)), 1.0)
