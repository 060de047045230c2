"""Laws of the leak index: what it says of a run of words is what a search of all texts says."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.errors import StoreDamagedError, StoreError
from personalm.selection import leak_building
from personalm.selection.grams import grams_of
from personalm.selection.leak_building import LeakIndexBuilder, take_out
from personalm.selection.leak_index import ROW, LeakIndex, choose_bits, owner_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

words = st.sampled_from(["ab", "cd", "ef", "猫", "が"])
texts = st.lists(words, max_size=9).map(" ".join)
writings = st.dictionaries(st.sampled_from("uvwxyz"), st.lists(texts, max_size=4), max_size=6)


def build(
    folder: Path, people: Mapping[str, Sequence[str]], common: Sequence[str] = (), *, size: int = 3
) -> Path:
    """Make an index of some people's texts; return its path."""
    builder = LeakIndexBuilder(folder / "scratch", num_words=size)
    builder.add_common(common)
    for user_id, written in people.items():
        builder.add(user_id, written)
    path = folder / "index"
    path.write_bytes(b"".join(builder.finish()()))
    return path


def owners(people: Mapping[str, Sequence[str]], size: int) -> dict[int, set[str]]:
    """Return who wrote each run, by a plain search."""
    found = defaultdict(set)
    for user_id, written in people.items():
        for gram in grams_of(written, size).tolist():
            found[gram].add(user_id)
    return found


@given(people=writings, common=st.lists(texts, max_size=2), waiting=st.sampled_from([1, 7, 10**6]))
@settings(deadline=None, max_examples=60)
def test_a_run_is_a_strangers_if_one_or_two_others_wrote_it_and_nobody_else(
    people: dict[str, list[str]], common: list[str], waiting: int
) -> None:
    """Whatever has to be laid down on the way; what is common is nobody's."""
    before = leak_building._MAX_WAITING
    leak_building._MAX_WAITING = waiting
    try:
        with TemporaryDirectory() as folder:
            index = LeakIndex(build(Path(folder), people, common))
    finally:
        leak_building._MAX_WAITING = before
    shared = set(grams_of(common, 3).tolist())
    by_gram = owners(people, 3)
    everything = np.array(sorted({*by_gram, *shared, 5}), np.uint64)
    for reader in (["u"], ["v", "w"], ["nobody"]):
        expected = [
            gram
            for gram in everything.tolist()
            if gram not in shared
            and 1 <= len(by_gram.get(gram, ())) <= 2
            and by_gram[gram].isdisjoint(reader)
        ]
        assert index.find_strangers(everything, reader).tolist() == expected


@given(people=writings, gone=st.sets(st.sampled_from("uvwxyz"), max_size=3))
@settings(deadline=None, max_examples=40)
def test_taking_users_out_leaves_everybody_elses_runs(
    people: dict[str, list[str]], gone: set[str]
) -> None:
    """Not one row of theirs stays, nor is one of others lost."""
    with TemporaryDirectory() as folder:
        path = build(Path(folder), people)
        rows = np.concatenate([*LeakIndex(path).rows(), np.empty(0, ROW)])
        rest = take_out(path, gone)
        theirs = np.isin(rows["owner"], np.array([owner_of(each) for each in gone], np.uint64))
        assert (rest is None) == (not theirs.any())
        if rest is not None:
            path.write_bytes(b"".join(rest()))
            left = np.concatenate([*LeakIndex(path).rows(), np.empty(0, ROW)])
            assert left.tolist() == rows[~theirs].tolist()


def test_the_order_of_users_and_parts_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts are the same bytes, hence the same edition."""
    people = {f"u{n}": [f"the kettle number {n} sings at {n} in the morning"] for n in range(40)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one = build(tmp_path / "a", people)
    monkeypatch.setattr(leak_building, "_MAX_WAITING", 10)
    other = build(tmp_path / "b", dict(reversed(people.items())))
    assert one.read_bytes() == other.read_bytes()


def test_a_large_index_has_many_small_blocks(tmp_path: Path) -> None:
    """A look-up reads some hundred rows, however many there are."""
    people = {f"u{n}": [f"{n} a {n} b {n} c {n} d {n} e {n} f"] for n in range(400)}
    index = LeakIndex(build(tmp_path, people))
    assert index.num_rows == sum(len(each) for each in owners(people, 3).values())
    assert max(b - a for a, b in zip(index._starts, index._starts[1:], strict=False)) < 600
    assert [choose_bits(n) for n in (0, 255, 256, 10**6, 10**12)] == [0, 0, 1, 12, 20]


def test_hashes_are_the_same_for_ever() -> None:
    """An index that was made long ago is read by later versions."""
    assert grams_of(["The kettle’s on!", "x"], 3).tolist() == PINNED
    assert len(grams_of(["春の朝に猫が鳴いている"], 3)) == 6
    assert grams_of([], 3).tolist() == []


PINNED = [7184558996131887762]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"x" * len(b)])
def test_a_file_that_is_no_whole_index_is_refused(tmp_path: Path, damage: object) -> None:
    """Nor is one that is not there."""
    path = build(tmp_path, {"u": ["a b c d"]})
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]  # a function on bytes
    with pytest.raises(StoreDamagedError, match="--rebuild"):
        LeakIndex(path)
    path.unlink()
    with pytest.raises(StoreDamagedError, match="--rebuild"):
        LeakIndex(path)


def test_what_is_laid_down_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folder and files are their owner's."""
    monkeypatch.setattr(leak_building, "_MAX_WAITING", 1)
    builder = LeakIndexBuilder(tmp_path / "scratch", num_words=3)
    builder.add("u", ["one two three four"])
    made = list((tmp_path / "scratch").iterdir())
    assert made
    assert all(p.stat().st_mode & 0o077 == 0 for p in [tmp_path / "scratch", *made])


@pytest.mark.parametrize("damage", ["gone", "cut", "twice", "all gone"])
def test_an_index_that_lost_rows_while_it_was_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """It would not know the runs of words that it lost, and let them through."""
    monkeypatch.setattr(leak_building, "_MAX_WAITING", 1)
    builder = LeakIndexBuilder(tmp_path / "scratch", num_words=3)
    builder.add("u", ["ab cd ef gh ij"])
    part = next(iter((tmp_path / "scratch").iterdir()))
    data = part.read_bytes()
    if damage == "gone":
        part.unlink()
    elif damage == "all gone":
        for each in (tmp_path / "scratch").iterdir():
            each.unlink()
    else:
        part.write_bytes(data[:-1] if damage == "cut" else data * 2)

    with pytest.raises(StoreError, match="lost or gained rows of the leak index"):
        builder.finish()


def test_a_full_disk_is_told_with_the_path_and_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words of the store."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(leak_building, "_MAX_WAITING", 1)
    builder = LeakIndexBuilder(tmp_path / "scratch", num_words=3)
    monkeypatch.setattr(os, "fdopen", full)

    with pytest.raises(StoreError, match=r"no room for .*scratch.*: [\d,.]+ MB are free"):
        builder.add("u", ["ab cd ef gh ij"])
