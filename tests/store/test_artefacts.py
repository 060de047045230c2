"""Laws of artefacts: one whole file a name, old or new, and nobody in it who was forgotten."""

from __future__ import annotations

import json
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from personalm.errors import StoreDamagedError, StoreError
from personalm.store.artefacts import Artefacts
from personalm.store.forgetting import forget
from personalm.store.layout import Layout
from personalm.store.store import Store
from personalm.store.verify import verify
from tests.store.faults import FaultyFiles, bad_disk, no_room

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path


def pieces(*parts: bytes) -> Callable[[], Iterable[bytes]]:
    """Return what gives these bytes whenever it is asked."""
    return lambda: iter(parts)


@pytest.fixture
def artefacts(output: Path) -> Artefacts:
    """Return the artefacts of a new output folder."""
    return Store.open(output, buckets=4).artefacts


def test_an_artefact_is_found_again_and_is_private(artefacts: Artefacts, output: Path) -> None:
    """It is named by the digest of its bytes, in a folder of its owner."""
    assert artefacts.latest("pool") is None
    made = artefacts.publish("pool", pieces(b"ab", b"c"), about={"users": 3})

    assert made == artefacts.latest("pool")
    assert made.edition == made.digest
    assert artefacts.read(made) == artefacts.path_of(made).read_bytes() == b"abc"
    assert stat.S_IMODE((output / "_artefacts").stat().st_mode) == 0o700


def test_the_same_bytes_have_the_same_edition(artefacts: Artefacts) -> None:
    """Making it anew of the same data changes nobody's fingerprint."""
    first = artefacts.publish("pool", pieces(b"abc"))
    assert artefacts.publish("pool", pieces(b"a", b"bc")).edition == first.edition
    assert artefacts.publish("pool", pieces(b"abcd")).edition != first.edition


def test_what_a_newer_one_has_replaced_is_gone(artefacts: Artefacts, output: Path) -> None:
    """One file a name; those of other names stay."""
    old = artefacts.publish("pool", pieces(b"old"))
    artefacts.publish("leaks", pieces(b"x"))
    new = artefacts.publish("pool", pieces(b"new"))

    assert not artefacts.path_of(old).exists()
    assert artefacts.read(new) == b"new"
    assert artefacts.names == ("leaks", "pool")
    assert len(list((output / "_artefacts").iterdir())) == 4


@pytest.mark.parametrize("fault", [bad_disk, no_room])
def test_a_publish_that_fails_leaves_the_old_or_the_new_one(
    output: Path, fault: Callable[[], None]
) -> None:
    """Whichever step fails, and the next publish leaves no litter."""
    store = Store.open(output, buckets=4)
    old = store.artefacts.publish("pool", pieces(b"old"))
    for step in range(1, 40):
        files = FaultyFiles(step, fault)
        faulty = Artefacts(Layout.at(output), files)
        with suppress(StoreError, OSError):
            faulty.publish("pool", pieces(b"new"))
        found = store.artefacts.latest("pool")
        assert found is not None
        assert store.artefacts.read(found) in {b"old", b"new"}
        store.artefacts.publish("pool", pieces(b"old"))
        assert len(list((output / "_artefacts").iterdir())) == 2
        if not files.has_fired:
            break
    else:
        pytest.fail("a publish has fewer steps")
    assert store.artefacts.latest("pool") is not None
    assert old.digest == getattr(store.artefacts.latest("pool"), "digest", None)


def test_damage_is_said_and_heals_by_making_it_anew(artefacts: Artefacts, output: Path) -> None:
    """A flipped byte, a missing file and a record that is none; `verify` finds each."""
    made = artefacts.publish("pool", pieces(b"abc"))
    record = output / "_artefacts" / "pool.json"
    artefacts.path_of(made).write_bytes(b"abd")
    with pytest.raises(StoreDamagedError, match="checksum"):
        artefacts.read(made)
    assert any("checksum" in problem for problem in verify(output))
    artefacts.publish("pool", pieces(b"abc"))
    assert verify(output) == ()
    artefacts.path_of(made).unlink()
    with pytest.raises(StoreDamagedError, match="missing"):
        artefacts.read(made)
    assert any("missing" in problem for problem in verify(output))
    for text in ("", "[]", "{}", json.dumps(json.loads(record.read_text()) | {"digest": "../x"})):
        record.write_text(text)
        with pytest.raises(StoreDamagedError, match="damaged"):
            artefacts.latest("pool")
        assert any("damaged" in problem for problem in verify(output))

    assert artefacts.publish("pool", pieces(b"abc")).digest == made.digest
    assert verify(output) == ()


def test_who_is_forgotten_is_taken_out_under_the_same_edition(
    artefacts: Artefacts, output: Path
) -> None:
    """Everybody else's texts stay as they are; one that nobody can rid of them goes."""
    made = artefacts.publish("pool", pieces(b"ada bob cem"), about={"users": 3})
    artefacts.publish("other", pieces(b"bob"))
    asked: list[Collection[str]] = []

    def take_out(path: Path, user_ids: Collection[str]) -> Callable[[], Iterable[bytes]] | None:
        asked.append(user_ids)
        words = path.read_bytes().decode().split()
        left = [word for word in words if word not in user_ids]
        return None if left == words else pieces(" ".join(left).encode())

    erasure = forget(output, ["bob"], take_out={"pool": take_out})

    found = artefacts.latest("pool")
    assert found is not None
    assert artefacts.read(found) == b"ada cem"
    assert (found.edition, found.about) == (made.edition, made.about)
    assert found.digest != made.digest
    assert erasure.artefacts == ("other", "pool")
    assert artefacts.names == ("pool",)
    assert not any(b"bob" in path.read_bytes() for path in (output / "_artefacts").iterdir())
    assert forget(output, ["bob"], take_out={"pool": take_out}).is_empty


def test_an_artefact_that_cannot_be_read_is_forgotten_whole(
    artefacts: Artefacts, output: Path
) -> None:
    """It may hold the users."""
    artefacts.publish("pool", pieces(b"bob"))
    (output / "_artefacts" / "pool.json").write_text("{")
    erasure = forget(output, ["bob"], take_out={"pool": lambda *_: None})

    assert erasure.artefacts == ("pool",)
    assert list((output / "_artefacts").iterdir()) == []


def test_a_run_that_was_killed_leaves_no_litter_for_long(output: Path) -> None:
    """The next command that holds the lock removes unfinished files."""
    store = Store.open(output, buckets=4)
    made = store.artefacts.publish("pool", pieces(b"abc"))
    (output / "_artefacts" / ".tmp-1").write_bytes(b"a")
    (output / "_artefacts" / "pool-0").write_bytes(b"a")
    with store.lock():
        store.vacuum(keep=1)

    assert sorted(p.name for p in (output / "_artefacts").iterdir()) == sorted(
        ["pool.json", made.file_name]
    )
