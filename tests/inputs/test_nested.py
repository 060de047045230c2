"""Laws of interactions that lie in the rows of their users' profiles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm.errors import InputError
from personalm.inputs import rawrows
from personalm.inputs.lookup import find_user
from personalm.inputs.report import Effect
from personalm.inputs.spill import spill
from personalm.records import Interaction, UserInputs
from personalm.settings import ColumnSource, Inputs, Replies

Write = Callable[..., str]
SpillAll = Callable[[Inputs], dict[str, UserInputs]]

_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_HISTORIES: list[Any] = [
    [{"text": "late", "created_at": _TIME, "item_id": 7, "rating": 4}, {"text": "early"}],
    [],
    None,
    [None, {"text": None, "item_id": 9}],
]


def _lists(kind: Callable[[pa.DataType], pa.DataType]) -> pa.Array[Any]:
    element = pa.struct(
        {
            "text": pa.string(),
            "created_at": pa.timestamp("us", "UTC"),
            "item_id": pa.int64(),
            "rating": pa.int8(),
        }
    )
    return pa.array(_HISTORIES, kind(element))


def test_a_struct_may_claim_a_user_and_the_profile_has_the_last_word(
    write: Write, spill_all: SpillAll
) -> None:
    """So a list is written that was collected from a table of interactions."""
    histories = [[{"user_id": "b", "text": "mine"}], [{"user_id": "a", "text": "hers"}]]
    path = write("p.parquet", {"user_id": ["a", "b"], "interactions": histories})

    users = spill_all(Inputs(profiles=(path,)))

    assert {u: user.profile.texts for u, user in users.items()} == {"a": ("mine",), "b": ("hers",)}


def _twos(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind, 2)


# Arrow itself cannot write structs of views.
@pytest.mark.parametrize(
    ("element", "is_struct"),
    [(pa.string(), True), *((kind, False) for kind in (pa.string(), pa.string_view()))],
    ids=["structs", "texts", "views"],
)
@pytest.mark.parametrize(
    "kind",
    [pa.list_, pa.large_list, pa.list_view, pa.large_list_view, _twos],
    ids=lambda kind: kind.__name__,
)
def test_a_list_of_any_kind_may_be_missing(
    element: pa.DataType,
    kind: Callable[[pa.DataType], pa.DataType],
    is_struct: bool,  # noqa: FBT001 - a parameter of the test
    spill_all: SpillAll,
    tmp_path: Path,
) -> None:
    """Arrow lets elements lie under a list that is not there: they are nobody's."""
    kinds = kind(pa.struct({"text": element}) if is_struct else element)
    texts: list[Any] = ["one", "two", "lost", "lost", "five", "six"]
    flat = [{"text": text} if is_struct else text for text in texts]
    lists = pa.array([flat[:2], None, flat[4:]], kinds)
    table = pa.table({"user_id": pa.array(list("abc"), pa.string_view()), "interactions": lists})
    path = tmp_path / "p.parquet"
    pq.write_table(table, path)

    users = spill_all(Inputs(profiles=(str(path),)))

    assert {u: user.profile.texts for u, user in users.items()} == {
        "a": ("one", "two"),
        "b": (),
        "c": ("five", "six"),
    }


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, pa.list_view], ids=lambda k: k.__name__)
def test_a_list_of_structs_is_the_users_interactions(
    kind: Callable[[pa.DataType], pa.DataType], write: Write, spill_all: SpillAll
) -> None:
    """Items are kept, missing ones skipped; an empty list and none at all are no history."""
    path = write("p.parquet", {"user_id": list("abcd"), "interactions": _lists(kind)})
    users = spill_all(Inputs(profiles=(path,)))
    assert {user_id: user.profile.interactions for user_id, user in users.items()} == {
        "a": (
            Interaction(text="early"),
            Interaction(text="late", created_at=_TIME, item_id="7", rating=4.0),
        ),
        "b": (),
        "c": (),
        "d": (Interaction(item_id="9"),),
    }
    for user_id, user in users.items():
        assert find_user(Inputs(profiles=(path,)), user_id) == user
        assert user.profile.facts == {}


@pytest.mark.parametrize(
    "lists",
    [
        pa.array([["x", None, "y"]]),
        pa.array([["x", "y"]], pa.large_list(pa.large_string())),
        pa.array([["x", "y"]], pa.list_(pa.string(), 2)),
        pa.array([["x", "y"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    ],
    ids=lambda lists: str(lists.type),
)
def test_a_list_of_texts_is_a_history_too(
    lists: pa.Array[Any], write: Write, spill_all: SpillAll
) -> None:
    """Of any list and text type; in its order, where no time says otherwise."""
    path = write("p.parquet", {"user_id": ["a"], "interactions": lists})
    (user,) = spill_all(Inputs(profiles=(path,))).values()
    assert sorted(user.profile.texts) == ["x", "y"]


def test_lists_of_pandas_are_read(tmp_path: Path, spill_all: SpillAll) -> None:
    """A column of Python lists of dicts becomes a list of structs."""
    frame = pd.DataFrame({"user_id": ["a", "b"], "interactions": [[{"text": "moo"}], None]})
    frame.to_parquet(tmp_path / "p.parquet")
    users = spill_all(Inputs(profiles=(str(tmp_path / "p.parquet"),)))
    assert {u: user.profile.texts for u, user in users.items()} == {"a": ("moo",), "b": ()}


def test_names_are_mapped_and_folders_name_the_user(write: Write, spill_all: SpillAll) -> None:
    """The list by the mapping of profiles, its fields by the mapping of interactions."""
    history = pa.array([[{"body": "x", "at": 1, "user_id": "somebody else"}]])
    path = write("d/uid=007/p.parquet", {"history": history})
    columns = {
        "profiles": {"user_id": ColumnSource(column="uid"), "interactions": "history"},
        "interactions": {"text": "body", "created_at": {"column": "at", "unit": "s"}},
    }
    inputs = Inputs.model_validate({"profiles": [str(Path(path).parents[1])], "columns": columns})
    (user,) = spill_all(inputs).values()
    assert user.profile.user_id == "007"
    assert user.profile.interactions == (
        Interaction(text="x", created_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    )
    assert find_user(inputs, "007") == user


def test_both_kinds_of_interactions_come_together(write: Write, spill_all: SpillAll) -> None:
    """A table of interactions and lists in profiles may each hold a part."""
    profiles = write("p.parquet", {"user_id": [1], "interactions": [["nested"]]})
    flat = write("i.parquet", {"user_id": ["1"], "text": ["flat"]})
    (user,) = spill_all(Inputs(profiles=(profiles,), interactions=(flat,))).values()
    assert sorted(user.profile.texts) == ["flat", "nested"]


def test_a_count_of_interactions_is_a_fact(write: Write, spill_all: SpillAll) -> None:
    """A column of the name that is no list is an extra column like any other."""
    path = write("p.parquet", {"user_id": ["a"], "interactions": [12]})
    (user,) = spill_all(Inputs(profiles=(path,))).values()
    assert user.profile.facts == {"interactions": 12}


@pytest.mark.parametrize(
    "lists", [[[["hello"], ["bye"]]], [[1, 2]], [[{"likes": 1}]]], ids=["lists", "numbers", "other"]
)
def test_lists_of_what_is_no_interaction_are_refused(lists: list[Any], write: Write) -> None:
    """A history that nobody can read is never taken for none."""
    path = write("p.parquet", {"user_id": ["a"], "interactions": lists})
    with pytest.raises(InputError) as caught:
        find_user(Inputs(profiles=(path,)), "a")
    assert caught.value.file == path


def test_messages_name_the_profiles_row(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An element of a list stands in the row of its user, whatever was read with it."""
    monkeypatch.setattr(rawrows, "_MAX_ROWS", 1)
    histories = [[{"text": "x", "rating": 1.0}] * 3, [{"text": "y\x00", "rating": float("inf")}]]
    path = write("p.parquet", {"user_id": ["a", "b"], "interactions": histories})
    with spill(Inputs(profiles=(path,)), tmp_path / "s", num_buckets=1) as spilled:
        found = {
            (f.column, f.effect, f.first_row)
            for f in spilled.report.findings
            if f.table == "interactions"
        }
    assert found == {("text", Effect.CHANGED, 1), ("rating", Effect.MISSING, 1)}
    assert spilled.report.lines()[0] == "read 2 profiles, 4 interactions"


def _dumps(write: Write, *days: dict[str, Any]) -> str:
    """Write full dumps of profiles, one a day."""
    paths = [Path(write(f"dumps/day={day}/p.parquet", rows)) for day, rows in enumerate(days)]
    return str(paths[0].parents[1])


@pytest.mark.parametrize("lists", [[["new"]], [[]], pa.nulls(1, pa.list_(pa.string()))], ids=str)
def test_the_list_of_the_row_that_counts_is_the_only_one(
    lists: Any, write: Write, spill_all: SpillAll
) -> None:
    """A text that stood in an older dump is deleted, and one that stands in both was said once."""
    before = {"user_id": ["u", "v"], "interactions": [["new", "deleted"], ["left"]]}
    inputs = Inputs(
        profiles=(_dumps(write, before, before, {"user_id": ["u"], "interactions": lists}),)
    )
    users = spill_all(inputs)

    now = pa.array(lists, pa.list_(pa.string())).to_pylist()[0]
    assert users["u"].profile.texts == tuple(now or ())
    assert users["v"].profile.texts == ("left",)
    assert {user_id: find_user(inputs, user_id) for user_id in users} == users


def test_the_newest_time_says_whose_list_counts(write: Write, spill_all: SpillAll) -> None:
    """As it says which profile does: a late file may hold an older row, under names of its own."""
    rows = {
        "uid": [None, "u", "v", "u", "u"],
        "seen": [_TIME, _TIME, None, datetime(2025, 1, 1, tzinfo=UTC), None],
        "name": ["nobody", "newest", "other", "older", "oldest"],
        "said": [["ghost"], ["a", "b"], ["c"], ["b", "old"], ["oldest"]],
    }
    path = write("p.parquet", rows, row_group_size=2)
    names = {"user_id": "uid", "updated_at": "seen", "interactions": "said", "name": "name"}
    flat = write("i.parquet", {"user_id": ["u"] * 2, "text": ["flat", "again"]})
    inputs = Inputs.model_validate(
        {"profiles": [path], "interactions": [flat], "columns": {"profiles": names}}
    )
    users = spill_all(inputs)

    assert (users["u"].profile.name, users["v"].profile.name) == ("newest", "other")
    assert sorted(users["u"].profile.texts) == ["a", "again", "b", "flat"]
    assert users["v"].profile.texts == ("c",)
    assert {user_id: find_user(inputs, user_id) for user_id in users} == users


def test_what_was_deleted_is_no_voice_and_no_turn_for_anybody(
    write: Write, spill_all: SpillAll
) -> None:
    """Nor does a message of an older dump get a reply: lists go wherever somebody asks for them."""
    kept = {"text": "hello", "thread_id": "t", "kind": "ask"}
    gone = {"text": "forget this", "thread_id": "t2", "kind": "ask"}
    said = {"text": "forget that", "thread_id": "t", "kind": "answer"}
    answer = {"text": "hi", "thread_id": "t", "kind": "answer"}
    ids = {"user_id": ["asks", "brand"]}
    folder = _dumps(
        write,
        {**ids, "interactions": [[kept, gone], [answer, said]]},
        {**ids, "interactions": [[kept], [answer]]},
    )
    requests = {"user_id": [f"c{n}" for n in range(9)], "kind": ["reply"] * 9}
    asked = write("r.parquet", {**requests, "voice_id": ["brand"] * 9, "thread_id": ["t"] * 9})
    replies = Replies(voice_kinds=("answer",), answered=True)

    for inputs in (
        Inputs(profiles=(folder,), requests=(asked,)),
        Inputs(profiles=(folder,), replies=replies),
    ):
        users = spill_all(inputs)
        shown = [(r.thread_id, u) for u in users.values() for r in u.requests]
        assert {thread for thread, _ in shown} == {"t"}
        for _, user in shown:
            assert user.voices["brand"].texts == ("hi",)
            assert sorted(turn.text for turn in user.threads["t"]) == ["hello", "hi"]
        assert {user_id: find_user(inputs, user_id) for user_id in users} == users


def test_texts_that_are_left_out_with_their_list_are_counted(write: Write, tmp_path: Path) -> None:
    """As many as were read, once for the whole table."""
    day = {"user_id": ["u", "v"], "interactions": [["a", "b"], ["c"]]}
    inputs = Inputs(profiles=(_dumps(write, day, day, day),))
    with spill(inputs, tmp_path / "s", num_buckets=2) as spilled:
        report = spilled.report

    assert dict(report.num_rows) == {"profiles": 6, "interactions": 9}
    (found,) = (f for f in report.findings if f.table == "interactions" and f.column == "user_id")
    assert (found.effect, found.count, found.file) == (Effect.DROPPED, 6, None)


def test_profiles_without_lists_are_read_once(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which row is older says nothing then that its bucket does not say as well."""
    day = {"user_id": ["u", "v"], "name": ["a", "b"]}
    flat = write("i.parquet", {"user_id": ["u"], "text": ["x"]})
    reads: list[str] = []
    read = rawrows.RawReader.read

    def watch(self: Any, parquet: Any, groups: Any) -> Any:
        reads.append(str(self.file.path))
        return read(self, parquet, groups)

    monkeypatch.setattr(rawrows.RawReader, "read", watch)
    inputs = Inputs(profiles=(_dumps(write, day, day),), interactions=(flat,))
    spill(inputs, tmp_path / "s", num_buckets=2).close()

    assert len(reads) == len(set(reads)) == 3
