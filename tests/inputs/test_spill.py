"""Laws of spilling: every user whole, in one bucket, in one order."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personalm.errors import InputError, StoreError
from personalm.hashing import bucket_of, subject_id_of, user_digest
from personalm.inputs import buckets, routes, settling
from personalm.inputs.spill import Spill, spill
from personalm.records import Interaction, Profile, Turn, UserInputs
from personalm.settings import Inputs

Write = Callable[..., str]
SpillAll = Callable[[Inputs], dict[str, UserInputs]]


def _at(minute: int) -> datetime:
    return datetime(2026, 1, 1, 0, minute, tzinfo=UTC)


@pytest.fixture
def inputs(write: Write) -> Inputs:
    """Return three tables of a few users, in several files and row groups."""
    users = [f"u{number % 40}" for number in range(400)]
    np.random.default_rng(0).shuffle(users)
    texts = [f"text {number} of {user}" for number, user in enumerate(users)]
    ids = [f"m{number}" for number in range(400)]
    for part in range(4):
        rows = slice(part * 100, part * 100 + 100)
        columns = {"user_id": users[rows], "text": texts[rows], "text_id": ids[rows]}
        path = write(f"i/{part}.parquet", columns, row_group_size=16)
    profiles = write("p.parquet", {"user_id": ["u1", "u2", "lone"], "name": ["Una", None, "Lo"]})
    requests = write("r.parquet", {"user_id": ["u1", "new"], "kind": ["post", "post"]})
    return Inputs(
        interactions=(str(Path(path).parent),), profiles=(profiles,), requests=(requests,)
    )


def test_every_user_of_any_table_is_served_once_and_whole(
    inputs: Inputs, spill_all: SpillAll
) -> None:
    """A profile row, an interaction or a request is enough; all rows of a user come together."""
    users = spill_all(inputs)
    assert set(users) == {f"u{n}" for n in range(40)} | {"lone", "new"}
    for n in range(40):
        texts = users[f"u{n}"].profile.texts
        assert len(texts) == 10
        assert all(text.endswith(f" of u{n}") for text in texts)
    assert users["u1"].profile.name == "Una"
    assert users["lone"].profile == Profile(user_id="lone", name="Lo")
    assert users["new"].profile == Profile(user_id="new")


def test_a_users_bucket_and_place_follow_from_the_id(inputs: Inputs, tmp_path: Path) -> None:
    """Users stand in the bucket of their id, in the order of their digests."""
    with spill(inputs, tmp_path / "spill", num_buckets=5) as spilled:
        read = [[u.profile.user_id for u in spilled.read(bucket)] for bucket in range(5)]
    assert all(bucket_of(u, 5) == bucket for bucket, users in enumerate(read) for u in users)
    everyone = [user for users in read for user in users]
    assert everyone == sorted(everyone, key=user_digest)


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_memory_limits_change_no_record(
    limit: int, inputs: Inputs, spill_all: SpillAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many rows are held, copied or converted at a time is nobody's business."""
    expected = spill_all(inputs)
    monkeypatch.setattr(buckets, "_MAX_ROWS", limit)
    monkeypatch.setattr(routes, "_MAX_COPIES", limit)
    monkeypatch.setattr("personalm.inputs.rawrows._MAX_ROWS", limit)
    monkeypatch.setattr("personalm.inputs.users._WINDOW", limit)
    monkeypatch.setattr(settling, "_MAX_SHORT_BYTES", limit * 10)
    assert spill_all(inputs) == expected


def test_another_user_changes_nothing_of_a_users_records(
    write: Write, inputs: Inputs, spill_all: SpillAll
) -> None:
    """Add a user, and every other user's records stay equal."""
    before = spill_all(inputs)
    more = write("i/more.parquet", {"user_id": ["intruder"], "text": ["x"], "text_id": ["m1"]})
    after = spill_all(inputs.model_copy(update={"interactions": (str(Path(more).parent),)}))
    assert after.pop("intruder").profile.texts == ("x",)
    assert after == before


def test_interactions_are_in_order_however_the_files_lie(write: Write, spill_all: SpillAll) -> None:
    """Oldest first, those without a time at the start, ties by text id, then by text."""
    rows = [
        Interaction(text="z", created_at=None),
        Interaction(text="a", created_at=None, text_id="1"),
        Interaction(text="b", created_at=_at(1)),
        Interaction(text="c", created_at=_at(1)),
        Interaction(text="b", created_at=_at(1), text_id="10"),
        Interaction(text="a", created_at=_at(1), text_id="9"),
        Interaction(item_id="7", rating=1.0, created_at=_at(2)),
        Interaction(item_id="8", rating=None, created_at=_at(2)),
        Interaction(text="\U0001f600", created_at=_at(3)),
    ]
    for seed in range(5):
        shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        half = len(rows) // 2
        paths = []
        for name, part in (("a", shuffled[:half]), ("b", shuffled[half:])):
            columns = {
                field: [getattr(row, field) or None for row in part]
                for field in ("text", "item_id", "created_at", "text_id", "rating")
            }
            paths.append(write(f"{name}.parquet", {"user_id": ["u"] * len(part), **columns}))
        (user,) = spill_all(Inputs(interactions=tuple(paths))).values()
        assert user.profile.interactions == tuple(rows)


def test_the_very_same_row_counts_once(write: Write, tmp_path: Path) -> None:
    """A shard that was delivered twice doubles nothing; without an id, rows are not told apart."""
    columns = {
        "user_id": ["u", "u", "v", "u", "u"],
        "text": ["hi", "hi", "hi", "hi", "ho"],
        "text_id": ["1", None, "1", None, "1"],
        "rating": [None, None, None, None, None],
    }
    paths = write("a.parquet", columns), write("b.parquet", columns)
    with spill(Inputs(interactions=paths), tmp_path / "s", num_buckets=1) as spilled:
        texts = {u.profile.user_id: u.profile.texts for u in spilled.read(0)}
    assert texts == {"u": ("hi",) * 5 + ("ho",), "v": ("hi",)}
    assert spilled.report.count_of("interactions", "text_id") == 3


def test_the_newest_profile_wins(write: Write, tmp_path: Path) -> None:
    """A missing time is the oldest; of equal times the later row wins; the others are counted."""
    path = write(
        "p.parquet",
        {
            "user_id": ["a", "a", "a", "b", "b", "c", "c"],
            "name": ["old", "new", "none", "first", "second", "x", "y"],
            "updated_at": [_at(1), _at(2), None, None, None, _at(5), _at(5)],
        },
    )
    with spill(Inputs(profiles=(path,)), tmp_path / "s", num_buckets=1) as spilled:
        names = {u.profile.user_id: u.profile.name for u in spilled.read(0)}
    assert names == {"a": "new", "b": "second", "c": "y"}
    assert spilled.report.count_of("profiles", "user_id") == 4


def test_rows_that_name_nobody_never_meet(write: Write, tmp_path: Path) -> None:
    """Null, NaN and blank ids join nothing: such rows are dropped and counted."""
    frame = pa.table({"user_id": ["a", None, None, "", "  "], "text": list("vwxyz")})
    profiles = write("p.parquet", {"user_id": [None, "a"], "name": ["Nobody", "Ada"]})
    inputs = Inputs(interactions=(write("i.parquet", frame),), profiles=(profiles,))
    with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
        (user,) = spilled.read(0)
    assert (user.profile.name, user.profile.texts) == ("Ada", ("v",))
    assert spilled.report.count_of("interactions", "user_id") == 4
    assert spilled.report.count_of("profiles", "user_id") == 1
    assert "interactions.user_id: 4 rows dropped: they name no user" in spilled.report.lines()


def test_an_interaction_of_nothing_still_makes_a_user(write: Write, tmp_path: Path) -> None:
    """A user whose only message was empty is served, and the empty row is counted."""
    path = write("i.parquet", {"user_id": ["a"], "text": [" "]})
    with spill(Inputs(interactions=(path,)), tmp_path / "s", num_buckets=1) as spilled:
        (user,) = spilled.read(0)
    assert user.profile.texts == ()
    assert spilled.report.count_of("interactions", "text") == 1


class TestRequests:
    """Laws of the requests table."""

    def test_a_request_has_the_given_subject_id_or_a_hash(
        self, write: Write, spill_all: SpillAll
    ) -> None:
        """Requests keep the order of the table, and extra columns are facts."""
        path = write(
            "r.parquet",
            {
                "user_id": ["u"] * 3,
                "kind": ["note", "note", "post"],
                "subject_id": [7, None, None],
                "subject": [None, " Tides ", None],
                "instructions": [None, "short", None],
                "tone": ["dry", None, None],
            },
        )
        first, second, third = spill_all(Inputs(requests=(path,)))["u"].requests
        assert (first.subject_id, first.facts) == ("7", {"tone": "dry"})
        assert second.subject == " Tides "
        assert second.subject_id == subject_id_of("Tides", "short")
        assert third.subject_id == subject_id_of("", None)
        assert first.item is None

    @pytest.mark.parametrize("column", ["user_id", "kind"])
    def test_a_request_for_nobody_or_nothing_names_its_row(
        self, column: str, write: Write, tmp_path: Path
    ) -> None:
        """It cannot be served and cannot be a rejection either, for want of a key."""
        columns: dict[str, Any] = {"user_id": ["a", "b"], "kind": ["post", "post"]}
        path = write("r.parquet", columns | {column: ["a", " "]})
        with pytest.raises(InputError, match=f"no {column}") as caught:
            spill(Inputs(requests=(path,)), tmp_path / "s", num_buckets=4)
        assert (caught.value.file, caught.value.row) == (path, 1)
        assert not (tmp_path / "s").exists()

    def test_the_same_request_twice_names_both_rows(self, write: Write, tmp_path: Path) -> None:
        """Whether the subject is given or hashed, and in whichever files the rows lie."""
        one = {"user_id": ["a", "b", "b"], "kind": ["post"] * 3, "subject": ["x", "y", " y "]}
        path = write("a.parquet", one)
        with pytest.raises(InputError, match="also in row 1") as caught:
            spill(Inputs(requests=(path,)), tmp_path / "s", num_buckets=4)
        assert (caught.value.file, caught.value.row) == (path, 2)
        first = write("b.parquet", {"user_id": [1], "kind": ["post"], "subject_id": [5]})
        second = write(
            "c.parquet", {"user_id": ["0", "1"], "kind": ["post"] * 2, "subject_id": ["5"] * 2}
        )
        with pytest.raises(InputError, match=r"also in row 0 of .*b\.parquet") as caught:
            spill(Inputs(requests=(second, first)), tmp_path / "s", num_buckets=4)
        assert (caught.value.file, caught.value.row) == (second, 1)

    def test_an_empty_table_of_requests_is_a_table(self, write: Write, tmp_path: Path) -> None:
        """Nothing is asked for, which is not the same as no table."""
        path = write("r.parquet", {"user_id": pa.nulls(0), "kind": pa.nulls(0)})
        with spill(Inputs(requests=(path,)), tmp_path / "s", num_buckets=2) as spilled:
            assert spilled.has_requests
            assert [list(spilled.read(b)) for b in range(2)] == [[], []]

    def test_voices_and_threads_come_with_the_user_who_names_them(
        self, write: Write, spill_all: SpillAll
    ) -> None:
        """Copies reach every bucket that asks, equal to the voice's own records."""
        customers = [f"c{n}" for n in range(12)]
        requests = write(
            "r.parquet",
            {
                "user_id": [*customers, "c0", "c1"],
                "kind": ["reply"] * 14,
                "subject_id": [str(n) for n in range(14)],
                "voice_id": [*["agent"] * 12, "nobody", "c1"],
                "thread_id": [*["t"] * 12, "gone", None],
            },
        )
        interactions = write(
            "i.parquet",
            {
                "user_id": ["agent", "c0", "c1", "agent", "agent", "c0", None],
                "text": ["late", "first", " ", "second", "second", "third", "ghost"],
                "thread_id": ["other", "t", "t", "t", "t", "t", "t"],
                "text_id": ["1", "2", "3", "4", "4", "5", "6"],
                "created_at": [_at(9), _at(1), _at(2), None, None, _at(3), _at(4)],
            },
        )
        profiles = write("p.parquet", {"user_id": ["agent"], "name": ["Lena"]})
        inputs = Inputs(requests=(requests,), interactions=(interactions,), profiles=(profiles,))
        users = spill_all(inputs)
        for customer in customers:
            user = users[customer]
            assert user.voices == {"agent": users["agent"].profile}
            assert [t.text for t in user.threads["t"]] == ["first", "second", "third"]
            assert set(user.threads) == {"t"}
        assert users["c0"].threads["t"][0] == Turn(text="first", own=True, created_at=_at(1))
        assert [t.own for t in users["c1"].threads["t"]] == [False] * 3
        assert users["agent"].profile.name == "Lena"
        assert (users["agent"].voices, users["agent"].threads) == ({}, {})

    def test_voices_of_a_bucket_are_one_object(self, write: Write, tmp_path: Path) -> None:
        """Many users share a voice: it is built once."""
        path = write(
            "r.parquet", {"user_id": ["a", "b"], "kind": ["reply"] * 2, "voice_id": ["v"] * 2}
        )
        texts = write("i.parquet", {"user_id": ["v"], "text": ["hi"]})
        with spill(
            Inputs(requests=(path,), interactions=(texts,)), tmp_path / "s", num_buckets=1
        ) as spilled:
            voices = [u.voices["v"] for u in spilled.read(0) if u.requests]
        assert voices[0] is voices[1]


class TestThreads:
    """Laws of the order of turns."""

    def test_a_turn_without_a_time_stays_behind_the_one_before_it(
        self, write: Write, spill_all: SpillAll
    ) -> None:
        """In real support data most replies have no time: they must not precede the question."""
        interactions = write(
            "i.parquet",
            {
                "user_id": ["a", "b", "a", "b", "a"],
                "text": ["3", "4", "1", "2", "5"],
                "thread_id": ["t"] * 5,
                "created_at": [_at(5), None, _at(1), None, _at(5)],
            },
        )
        requests = write("r.parquet", {"user_id": ["a"], "kind": ["reply"], "thread_id": ["t"]})
        user = spill_all(Inputs(interactions=(interactions,), requests=(requests,)))["a"]
        assert [turn.text for turn in user.threads["t"]] == ["1", "2", "3", "4", "5"]

    @pytest.mark.parametrize(
        ("kinds", "own"),
        [
            (["ask", "ask", "answer", "answer"], [True, True, False, False]),
            (["chat", "chat", "chat", "chat"], [True, False, False, False]),
            ([None, None, None, None], [True, False, False, False]),
            ([None, "ask", "answer", None], [True, False, False, False]),
        ],
        ids=["sides", "chat", "no-kinds", "some-kinds"],
    )
    def test_another_customer_does_not_speak_for_the_brand(
        self, write: Write, spill_all: SpillAll, kinds: list[str | None], own: list[bool]
    ) -> None:
        """Who writes the user's kind to people of another kind is of the user's side."""
        interactions = write(
            "i.parquet",
            {
                "user_id": ["a", "b", "agent", "agent2"],
                "text": ["1", "2", "3", "4"],
                "kind": pa.array(kinds, pa.string()),
                "thread_id": ["t"] * 4,
            },
        )
        requests = write("r.parquet", {"user_id": ["a"], "kind": ["reply"], "thread_id": ["t"]})
        user = spill_all(Inputs(interactions=(interactions,), requests=(requests,)))["a"]
        assert [turn.own for turn in user.threads["t"]] == own


class TestFolder:
    """Laws of what lies on disk."""

    def test_what_is_spilled_is_for_its_owner_alone(self, inputs: Inputs, tmp_path: Path) -> None:
        """Whatever the umask allows, folders are 0700 and files 0600; ids are no file names."""
        old = os.umask(0)
        try:
            spilled = spill(inputs, tmp_path / "s", num_buckets=3)
        finally:
            os.umask(old)
        for path in (spilled.folder, *spilled.folder.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path
        names = {path.name for path in spilled.folder.rglob("*")}
        assert not {f"u{n}" for n in range(40)} & names
        manifest = json.loads((spilled.folder / "manifest.json").read_text())
        assert "lone" not in json.dumps(manifest)
        spilled.close()
        assert not (tmp_path / "s").exists()

    def test_another_process_reads_the_same(self, inputs: Inputs, tmp_path: Path) -> None:
        """Attaching gives equal records, and closing what is attached deletes nothing."""
        code = (
            "import pickle, sys; from pathlib import Path\n"
            "from personalm.inputs.spill import Spill\n"
            "with Spill.attach(Path(sys.argv[1])) as s:\n"
            "    users = [u for b in range(s.num_buckets) for u in s.read(b)]\n"
            "    data = users, s.report, s.has_requests, [s.num_requests(b) for b in range(3)]\n"
            "    sys.stdout.buffer.write(pickle.dumps(data))\n"
        )
        with spill(inputs, tmp_path / "s", num_buckets=3) as spilled:
            output = subprocess.run(
                [sys.executable, "-c", code, str(spilled.folder)], check=True, capture_output=True
            ).stdout
            users, report, has_requests, num_requests = pickle.loads(output)  # noqa: S301 - ours
            assert users == [user for bucket in range(3) for user in spilled.read(bucket)]
            assert (report, has_requests) == (spilled.report, True)
            assert sum(num_requests) == 2
            assert replace(spilled, is_owner=False) == Spill.attach(spilled.folder)

    @pytest.mark.parametrize("damage", ["gone", "cut", "twice", "all gone"])
    def test_rows_that_are_lost_or_gained_are_no_empty_bucket(
        self, inputs: Inputs, tmp_path: Path, damage: str
    ) -> None:
        """Users are never left out, and none is served from half of a history, without a word."""
        with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
            (file,) = spilled.folder.rglob("interactions/*.arrow")
            if damage == "gone":
                file.unlink()
            elif damage == "all gone":
                shutil.rmtree(spilled.folder)
            else:
                data = file.read_bytes()
                file.write_bytes(data[: len(data) // 2] if damage == "cut" else data * 2)

            with pytest.raises(StoreError, match="lost or gained inputs"):
                list(spilled.read(0))
            with pytest.raises(StoreError, match="lost or gained inputs"):
                list(spilled.texts(0))

    def test_of_two_spills_in_one_folder_the_later_one_is_whole(
        self, inputs: Inputs, tmp_path: Path
    ) -> None:
        """The earlier one finds nothing any more, and takes nothing of the other with it."""
        with spill(inputs, tmp_path / "s", num_buckets=1) as later:
            expected = list(later.read(0))
        first = spill(inputs, tmp_path / "s", num_buckets=1)
        second = spill(inputs, tmp_path / "s", num_buckets=1)

        with pytest.raises(StoreError, match="lost or gained inputs"):
            list(first.read(0))
        first.close()
        assert list(second.read(0)) == expected
        second.close()
        assert not (tmp_path / "s").exists()

    def test_what_is_no_finished_spill_cannot_be_attached(
        self, inputs: Inputs, tmp_path: Path
    ) -> None:
        """A folder without a manifest, a cut one, and none at all."""
        with pytest.raises(InputError, match="no finished spill"):
            Spill.attach(tmp_path / "none")
        with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
            manifest = spilled.folder / "manifest.json"
            manifest.write_text(manifest.read_text()[:20])
            with pytest.raises(InputError, match="no finished spill"):
                Spill.attach(spilled.folder)

    def test_a_failure_leaves_nothing_behind(self, write: Write, tmp_path: Path) -> None:
        """An error in the last file finds the folder gone, and so does an interrupt."""
        good = write("a.parquet", {"user_id": ["a"], "text": ["x"]})
        bad = write("b.parquet", {"user_id": [1.5], "text": ["x"]})
        with pytest.raises(InputError):
            spill(Inputs(interactions=(good, bad)), tmp_path / "s", num_buckets=2)
        assert not (tmp_path / "s").exists()

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            spill(Inputs(interactions=(good,)), tmp_path / "s", num_buckets=2, on_rows=interrupt)
        assert not (tmp_path / "s").exists()

    def test_what_a_killed_run_left_is_replaced(self, inputs: Inputs, tmp_path: Path) -> None:
        """The next spill of the folder starts anew, without a row of the old one."""
        folder = tmp_path / "s"
        left = spill(inputs, folder, num_buckets=3)
        expected = [list(left.read(bucket)) for bucket in range(3)]
        (folder / "manifest.json").unlink()
        with spill(inputs, folder, num_buckets=3) as spilled:
            assert [list(spilled.read(bucket)) for bucket in range(3)] == expected

    def test_a_folder_of_somebody_else_is_left_alone(self, inputs: Inputs, tmp_path: Path) -> None:
        """A wrong path in the settings must not delete anything."""
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / "thesis.txt").write_text("years of work")
        with pytest.raises(StoreError, match="in the way"):
            spill(inputs, tmp_path / "s", num_buckets=3)
        assert (tmp_path / "s" / "thesis.txt").exists()

    def test_a_full_disk_is_told_with_the_folder_and_the_room(
        self, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message has what an operator needs, and nothing is left behind."""

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(buckets, "write_private", full)
        with pytest.raises(StoreError, match=r"no room for .*: [\d,.]+ MB are free"):
            spill(inputs, tmp_path / "s", num_buckets=3)
        assert not (tmp_path / "s").exists()


def test_rows_are_counted_as_they_are_read(inputs: Inputs, tmp_path: Path) -> None:
    """Somebody who waits sees the number grow to all rows of all tables."""
    seen: list[int] = []
    with spill(inputs, tmp_path / "s", num_buckets=2, on_rows=seen.append) as spilled:
        pass
    assert sum(seen) == 405
    assert spilled.report.lines()[0] == "read 3 profiles, 400 interactions, 2 requests"


def test_settings_without_any_table_of_users_are_an_error(tmp_path: Path) -> None:
    """There is nobody to write for, and the remedy says where to name them."""
    with pytest.raises(InputError, match="no profiles, interactions or requests"):
        spill(Inputs(), tmp_path / "s", num_buckets=1)


def test_a_bad_items_file_is_found_before_anything_is_read(
    inputs: Inputs, write: Write, tmp_path: Path
) -> None:
    """Items are read later; a wrong file of theirs is told now."""
    path = write("items.parquet", {"item_id": [1]})
    seen: list[int] = []
    with pytest.raises(InputError, match="items need a column title"):
        spill(
            inputs.model_copy(update={"items": (path,)}),
            tmp_path / "s",
            num_buckets=1,
            on_rows=seen.append,
        )
    assert seen == []


def test_routes_reach_every_bucket_that_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is copied once to each bucket of its id, and rows without a route nowhere."""
    monkeypatch.setattr(routes, "_MAX_COPIES", 2)
    found = routes.Routes(8)
    found.add(pa.array(["a", "b", None, "a", "a"]), np.array([1, 2, 3, 5, 1]))
    found.close()
    copies = found.copies(pa.array(["x", "a", None, "b", "a"]))
    pairs = [
        (int(r), int(b)) for rows, targets in copies for r, b in zip(rows, targets, strict=True)
    ]
    assert pairs == [(1, 1), (1, 5), (3, 2), (4, 1), (4, 5)]
