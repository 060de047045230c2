"""The journal of a run: units, whole or missing."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from personalm.errors import AccountingError, StoreDamagedError, StoreError
from personalm.store.files import LocalFiles
from personalm.store.journal import Journal
from tests.store.world import key_of, outcome_of

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [key_of("ada"), key_of("bo"), key_of("cy")]
OUTCOMES = [outcome_of(key, "v1") for key in KEYS]


@pytest.fixture
def journal(output: Path) -> Journal:
    """Return the journal of a new run."""
    return Journal.begin(output / "run-1", fingerprint="m1", files=LocalFiles())


def test_a_unit_is_read_as_it_was_written(journal: Journal) -> None:
    """In this process, and in one that attaches to the run."""
    assert not journal.has("u1")
    journal.write("u1", OUTCOMES, expected=KEYS)
    worker = Journal.attach(journal.folder)

    assert worker.has("u1")
    assert worker.read("u1") == tuple(OUTCOMES)
    assert (worker.run_id, worker.fingerprint) == ("run-1", "m1")
    assert (worker.unit_ids, worker.num_rows) == (("u1",), 3)
    assert journal.spill_folder == journal.folder / "spill"


@pytest.mark.parametrize(
    "outcomes", [OUTCOMES[:2], [*OUTCOMES, OUTCOMES[0]], [*OUTCOMES[:2], OUTCOMES[0]], []]
)
def test_outcomes_are_those_of_the_tasks_or_nothing_is_written(
    journal: Journal, outcomes: list[object]
) -> None:
    """A key that is missing, unexpected or there twice stops the unit."""
    with pytest.raises(AccountingError):
        journal.write("u1", outcomes, expected=KEYS)  # type: ignore[arg-type]  # parametrised
    with pytest.raises(AccountingError):
        journal.write("u1", OUTCOMES, expected=KEYS[:2])
    with pytest.raises(AccountingError):
        journal.write("u1", [*OUTCOMES, OUTCOMES[0]], expected=[*KEYS, KEYS[0]])

    assert journal.unit_ids == ()


def test_a_damaged_unit_counts_as_missing(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut short or flipped anywhere, it is removed with a log line and can be written anew."""
    path = journal.folder / "units" / "u1.parquet"
    journal.write("u1", OUTCOMES, expected=KEYS)
    right = path.read_bytes()
    middle = len(right) // 3
    flipped = right[:middle] + bytes([right[middle] ^ 1]) + right[middle + 1 :]
    for data in (b"", right[:1], right[:-1], right[: len(right) // 2], b"x" * 50, flipped):
        path.write_bytes(data)
        with caplog.at_level(logging.WARNING):
            assert not journal.has("u1")
        assert "u1.parquet" in caplog.text
        assert not path.exists()
        with pytest.raises(StoreError, match="missing or damaged"):
            journal.read("u1")
        caplog.clear()
        journal.write("u1", OUTCOMES, expected=KEYS)
        assert journal.read("u1") == tuple(OUTCOMES)


def test_a_flipped_bit_never_changes_an_outcome(journal: Journal) -> None:
    """Wherever it is in the file: the unit is as it was, or it is missing."""
    path = journal.folder / "units" / "u1.parquet"
    journal.write("u1", OUTCOMES, expected=KEYS)
    right = path.read_bytes()
    for place in range(0, len(right), 61):
        path.write_bytes(right[:place] + bytes([right[place] ^ 4]) + right[place + 1 :])
        assert not journal.has("u1") or journal.read("u1") == tuple(OUTCOMES), f"byte {place}"


def test_a_unit_is_written_once(journal: Journal) -> None:
    """Two processes that write one run are told of each other."""
    journal.write("u1", OUTCOMES, expected=KEYS)
    with pytest.raises(StoreError, match="journalled already"):
        journal.write("u1", OUTCOMES, expected=KEYS)


def test_a_unit_needs_a_plain_name(journal: Journal) -> None:
    """An id of a user never becomes a file."""
    for name in ("../u", "", "a/b", "u\n"):
        with pytest.raises(StoreError):
            journal.write(name, OUTCOMES, expected=KEYS)


def test_a_run_of_another_version_is_no_run(journal: Journal) -> None:
    """Nor is a folder without an identity, or under another name."""
    identity = journal.folder / "run.json"
    right = json.loads(identity.read_text())
    wrongs: tuple[object, ...] = (right | {"format": 99}, right | {"run_id": "x"}, {}, [], "x")
    for wrong in wrongs:
        identity.write_text(json.dumps(wrong))
        with pytest.raises(StoreDamagedError):
            Journal.attach(journal.folder)
    identity.unlink()
    with pytest.raises(StoreDamagedError):
        Journal.attach(journal.folder)
