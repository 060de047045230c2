"""Laws of the sample data: made the same way each time, and rich enough to try everything."""

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sample_data import make

NAMES = ("profiles", "interactions", "items", "requests")
FEW = {"u-otto": 1, "u-nadia": 0}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sources() -> make.Sources:
    """Read the sources of the repository once."""
    return make.read()


@pytest.fixture(scope="module")
def rows(sources: make.Sources) -> dict[str, Rows]:
    """Hold the rows of every table under its name."""
    return {name: table.to_pylist() for name, table in make.tables(sources).items()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the sources to where a test may spoil them."""
    return Path(shutil.copytree(make.SOURCE, tmp_path / "source"))


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    """The same sources give the same bytes at each call."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = make.write(tmp_path / "first"), make.write(tmp_path / "second")
    assert [path.stem for path in first] == list(NAMES)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_files_in_the_repository_are_what_the_sources_give(tmp_path: Path) -> None:
    """The kept rows equal the made ones, and so do the bytes where the same writer made both."""
    for made in make.write(tmp_path):
        kept = make.HERE / made.name
        assert pq.read_table(kept).equals(pq.read_table(made)), made.name
        if pq.read_metadata(kept).created_by == pq.read_metadata(made).created_by:
            assert kept.read_bytes() == made.read_bytes(), made.name


def test_every_reply_continues_a_thread_of_the_same_customer(rows: dict[str, Rows]) -> None:
    """A reply request has one to three earlier turns, the first by the customer who asks."""
    for request in (one for one in rows["requests"] if one["kind"] == "reply"):
        turns = [turn for turn in rows["interactions"] if turn["thread_id"] == request["thread_id"]]
        turns.sort(key=lambda turn: turn["created_at"])
        assert 1 <= len(turns) <= 3, request["request_id"]
        assert turns[0]["user_id"] == request["user_id"], request["request_id"]
        assert {turn["user_id"] for turn in turns[1::2]} <= {request["voice_id"]}


def test_turns_of_a_thread_alternate_in_time(rows: dict[str, Rows]) -> None:
    """Sorted by date, a thread goes customer, agent, customer, agent."""
    threads: dict[str, Rows] = {}
    for turn in sorted(rows["interactions"], key=lambda row: row["created_at"]):
        if turn["thread_id"]:
            threads.setdefault(turn["thread_id"], []).append(turn)
    for thread, turns in threads.items():
        kinds = [turn["kind"] for turn in turns]
        assert kinds == (["customer", "agent_reply"] * 2)[: len(kinds)], thread


def test_dates_follow_the_texts_of_a_user_within_the_year(
    sources: make.Sources, rows: dict[str, Rows]
) -> None:
    """A user's dates rise in the order of the user's file, from January to October 2026."""
    dates = {(row["user_id"], row["text"]): row["created_at"] for row in rows["interactions"]}
    for voice in sources.voices:
        own = [dates[voice["user_id"], text["text"]] for text in voice["texts"]]
        assert own == sorted(set(own)), voice["user_id"]
    months = {date.month for date in dates.values()}
    assert months == set(range(1, 11))


def test_rows_of_users_are_interleaved(rows: dict[str, Rows]) -> None:
    """Neighbouring interactions mostly belong to different users."""
    users = [row["user_id"] for row in rows["interactions"]]
    same = sum(one == other for one, other in pairwise(users))
    assert same < len(users) / 10


def test_there_is_enough_of_everything(rows: dict[str, Rows]) -> None:
    """At least 30 users, 40 items, 27 users who ask, and every kind of request."""
    assert len(rows["profiles"]) >= 30
    assert len(rows["items"]) >= 40
    assert len({request["user_id"] for request in rows["requests"]}) >= 27
    kinds = Counter(request["kind"] for request in rows["requests"])
    assert set(kinds) == {"blurb", "post", "note", "reply"}
    assert min(kinds.values()) >= 14
    assert 72 <= kinds.total() <= 76


def test_ordinary_users_have_15_to_40_texts(sources: make.Sources) -> None:
    """Only the user with one text and the user with none fall outside the range."""
    for voice in sources.voices:
        user, count = voice["user_id"], len(voice["texts"])
        assert count == FEW[user] if user in FEW else 15 <= count <= 40, user


def test_special_users_stand_where_they_should(rows: dict[str, Rows]) -> None:
    """The one without a profile has texts, the opted-out one has requests, 007 stays a text."""
    profiles = {row["user_id"]: row for row in rows["profiles"]}
    asking = Counter(row["user_id"] for row in rows["requests"])
    writing = {row["user_id"] for row in rows["interactions"]}
    assert writing - set(profiles) == {"u-kit"}
    assert set(profiles) - writing == {"u-nadia"}
    assert [user for user, row in profiles.items() if row["opt_out"]] == ["u-gregor"]
    assert profiles["u-wen"]["language"] == "zh"
    assert "007" in profiles
    for user in ("u-wen", "u-otto", "u-nadia", "u-kit", "u-gregor"):
        assert 1 <= asking[user] <= 2, user


def test_agents_answer_often_and_sign(rows: dict[str, Rows]) -> None:
    """Each agent has at least 20 replies, and every one carries the agent's own ending."""
    endings = {"agent-lena": "- Lena", "agent-ravi": "Kind regards, Ravi"}
    for agent, ending in endings.items():
        replies = [row for row in rows["interactions"] if row["user_id"] == agent]
        assert len(replies) >= 20
        assert {row["kind"] for row in replies} == {"agent_reply"}
        assert all(row["text"].endswith(ending) for row in replies), agent


def test_a_blurb_is_about_an_item_its_user_has_not_rated(rows: dict[str, Rows]) -> None:
    """Nobody is recommended what they have already reviewed."""
    rated = {(row["user_id"], row["item_id"]) for row in rows["interactions"] if row["item_id"]}
    blurbs = [row for row in rows["requests"] if row["kind"] == "blurb"]
    assert not rated & {(row["user_id"], row["subject_id"]) for row in blurbs}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("voices/u-hale.toml", '"kit-cast-pan"', '"kit-nothing"', r"u-hale\.toml.*kit-nothing"),
        ("voices/u-hale.toml", '"u-hale"', '"u-hail"', r"u-hale\.toml.*u-hail"),
        ("voices/u-hale.toml", "rating = 5", "rating = 6", r"u-hale\.toml.*rating 6"),
        ("voices/u-hale.toml", "traits", "trates", r"u-hale\.toml.*trates"),
        ("voices/u-hale.toml", "traits = [", "traits = ", r"u-hale\.toml.*not valid TOML"),
        ("items.toml", '"kit-timer"', '"kit-kettle"', r"items\.toml.*duplicate 'kit-kettle'"),
        ("items.toml", "maker = ", "# maker = ", r"items\.toml.*without maker"),
        ("requests.toml", '"agent-lena"', '"agent-nobody"', r"requests\.toml.*agent-nobody"),
        ("requests.toml", '"t-trike-flat"', '"t-nowhere"', r"r-reply-01.*t-nowhere"),
        ("requests.toml", '"u-mose"', '"u-nobody"', r"r-blurb-22.*u-nobody"),
        ("requests.toml", "r-blurb-02", "r-blurb-01", r"duplicate 'r-blurb-01'"),
    ],
)
def test_a_contradiction_is_refused_by_file_and_entry(
    copy: Path, file: str, old: str, new: str, message: str
) -> None:
    """An unknown id, a wrong field or a duplicate key raises and says where it stands."""
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        make.read(copy)


def test_threads_in_a_circle_are_refused(copy: Path) -> None:
    """An agent's file that answers before it was asked cannot be dated."""
    path = copy / "voices" / "agent-lena.toml"
    head, *texts = path.read_text(encoding="utf-8").split("[[texts]]")
    path.write_text("[[texts]]".join([head, *reversed(texts)]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"agent-lena\.toml.*out of order"):
        make.tables(make.read(copy))
