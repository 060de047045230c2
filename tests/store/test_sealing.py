"""Laws of sealing: a record that says anything else than was written is not believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from personalm.errors import StoreError
from personalm.store.reading import read_table, status
from personalm.store.sealing import is_as_sealed, seal
from personalm.store.verify import verify
from tests.store.world import read_view, run, table_of, wanted

if TYPE_CHECKING:
    from pathlib import Path

USERS = ("ada", "bo", "cy", "dee", "eve", "fox")

RECORDS = ("_personalm.json", "_snapshots/00000001.json")


@pytest.mark.parametrize("name", RECORDS)
def test_every_flipped_bit_of_a_record_is_found(output: Path, name: str) -> None:
    """A digit of a bucket would lose rows or write them twice; no bit says what was not said."""
    run(output, wanted(*USERS))
    path = output / name
    right = path.read_bytes()
    for offset in range(len(right)):
        bit = 1 << offset % 8
        path.write_bytes(right[:offset] + bytes([right[offset] ^ bit]) + right[offset + 1 :])
        with pytest.raises(StoreError):
            read_table(output)
    path.write_bytes(right)
    assert verify(output) == ()


def test_a_bucket_that_reads_otherwise_stops_a_run(output: Path) -> None:
    """Believed, it would let a run write the rows of one bucket beside those of another."""
    run(output, wanted(*USERS))
    path = output / "_snapshots" / "00000001.json"
    right = path.read_bytes()
    path.write_bytes(right.replace(b'"bucket": 1', b'"bucket": 0', 1))

    with pytest.raises(StoreError, match="no whole snapshot record"):
        run(output, wanted(*USERS, version="v2"))
    path.write_bytes(right)
    assert read_view(output) == table_of(wanted(*USERS))


def test_a_record_of_a_version_that_did_not_seal_is_read(output: Path) -> None:
    """Its keys are those that it had; the next run writes a sealed one."""
    run(output, wanted(*USERS))
    for name in RECORDS:
        record = json.loads((output / name).read_bytes())
        del record["seal"]
        (output / name).write_text(json.dumps(record))

    assert read_view(output) == table_of(wanted(*USERS))
    run(output, wanted("ada", version="v2"))
    assert verify(output) == ()
    assert status(output)["snapshot"]["number"] == 2
    record = json.loads((output / "_snapshots" / "00000002.json").read_bytes())
    assert len(record["seal"]) == 64


def test_a_seal_is_made_of_what_stands_before_it() -> None:
    """Sealing what is sealed changes nothing; another key, or the seal of another, is refused."""
    data = seal({"a": 1, "b": [{"c": "\u00e9"}]})

    assert seal(json.loads(data)) == data
    assert is_as_sealed(data, known=())
    assert not is_as_sealed(data.replace(b"1", b"2", 1), known="ab")
    assert not is_as_sealed(data.replace(b'"seal"', b'"seam"'), known="ab")
    assert not is_as_sealed(data + b"\n", known="ab")
