"""The room on real tables; skipped unless PERSONALM_DATA names the folder that holds them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from personalm.inputs.items import read_items
from personalm.inputs.languages import detect_language
from personalm.inputs.lookup import find_user
from personalm.inputs.spill import spill
from personalm.settings import ColumnSource, Inputs

pytestmark = pytest.mark.skipif(
    "PERSONALM_DATA" not in os.environ, reason="PERSONALM_DATA names no folder of real tables"
)
_DATA = Path(os.environ.get("PERSONALM_DATA", "."))


def test_chat_with_times_as_text_is_read_whole_and_is_english(tmp_path: Path) -> None:
    """Every time is read, nearly every user is told to write English."""
    inputs = Inputs(interactions=(str(_DATA / "irc" / "interactions.parquet"),))
    with spill(inputs, tmp_path / "s", num_buckets=4) as spilled:
        users = [user for bucket in range(4) for user in spilled.read(bucket)]
    assert sum(len(u.profile.interactions) for u in users) == 145_736
    assert spilled.report.count_of("interactions", "created_at") == 0
    languages = Counter(detect_language(u.profile.texts, default="en") for u in users[::10])
    assert languages["en"] >= 0.99 * languages.total()
    assert find_user(inputs, users[0].profile.user_id) == users[0]


def test_ratings_alone_make_users(tmp_path: Path) -> None:
    """Ids are numbers and times are seconds, mapped by the settings."""
    sources = {
        "user_id": ColumnSource(column="userId"),
        "item_id": ColumnSource(column="movieId"),
        "created_at": ColumnSource(column="timestamp", unit="s"),
    }
    inputs = Inputs(
        interactions=(str(_DATA / "movielens" / "ratings.parquet"),),
        items=(str(_DATA / "movielens" / "items.parquet"),),
        columns={"interactions": sources, "items": {"item_id": ColumnSource(column="movieId")}},
    )
    with spill(inputs, tmp_path / "s", num_buckets=4) as spilled:
        users = [user for bucket in range(4) for user in spilled.read(bucket)]
    known = {item.item_id for item in read_items(inputs)}
    assert len(users) == 610
    assert all(i.item_id in known for u in users for i in u.profile.interactions)


def test_japanese_is_told_from_japanese(tmp_path: Path) -> None:
    """Nobody in a Japanese chat is taken for anything else."""
    folder = _DATA / "persona_chat_ja"
    inputs = Inputs(
        profiles=(str(folder / "profiles.parquet"),),
        interactions=(str(folder / "interactions.parquet"),),
    )
    with spill(inputs, tmp_path / "s", num_buckets=4) as spilled:
        users = [user for bucket in range(4) for user in spilled.read(bucket)]
    assert {detect_language(u.profile.texts, default="ja") for u in users} == {"ja"}
    assert all(u.profile.traits for u in users)
