"""Readers take no lock, and see the newest snapshot or hear what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from personalm.errors import StoreDamagedError, StoreError
from personalm.store.bucket_files import BucketFiles
from personalm.store.reading import read_snapshot, read_table, status
from personalm.store.schema import TABLES
from personalm.store.sealing import seal
from personalm.store.store import Store
from personalm.store.tidying import RETAINED
from tests.store.world import (
    BUCKETS,
    Plan,
    key_of,
    read_latest,
    run,
    table_of,
    wanted,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from personalm.store.snapshots import DataFile

USERS = ("ada", "bo", "cy", "dee", "eve", "fox", "gil")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_of_the_contract(output: Path, table: str) -> None:
    """Also where it has no rows."""
    run(output, {})
    assert read_table(output, table).schema == TABLES[table]
    run(output, wanted(*USERS))

    assert read_table(str(output), table).schema == TABLES[table]
    assert read_table(output, table).num_rows > 0


def test_all_tables_of_a_report_are_of_one_snapshot(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit between two of them is not seen, or all of it is."""
    run(output, wanted(*USERS))
    read, is_first = BucketFiles.read, iter([True])

    def commit_first(self: BucketFiles, file: DataFile, **options: Any) -> pa.Table:
        rows = read(self, file, **options)
        if next(is_first, False):
            run(output, wanted(*USERS, version="v2"))
        return rows

    monkeypatch.setattr(BucketFiles, "read", commit_first)
    snapshot, tables = read_snapshot(output)
    newer, newer_tables = read_snapshot(output)

    assert (snapshot["number"], newer["number"]) == (1, 2)
    for found in (tables, newer_tables):
        versions = {row["fingerprint"] for row in found["results"].to_pylist()}
        assert len(versions) == 1
    assert set(tables) == set(TABLES)
    assert tables["results"] != newer_tables["results"]


def test_pandas_reads_one_row_a_key_through_latest(output: Path) -> None:
    """As the documentation says: pandas.read_parquet(OUT/latest/results)."""
    run(output, {})
    assert list(pd.read_parquet(output / "latest" / "results").columns) == TABLES["results"].names
    run(output, wanted(*USERS))
    frame = pd.read_parquet(output / "latest" / "results")

    assert frame["user_id"].is_unique
    assert sorted(frame["text"]) == sorted(read_table(output)["text"].to_pylist())
    assert str(frame["generated_at"].dt.tz) == "UTC"


def test_rows_do_not_depend_on_the_order_of_units(output: Path) -> None:
    """They stand by bucket and key."""
    run(output, wanted(*USERS))
    whole = read_table(output).drop_columns(["run_id", "generated_at"])
    for number, user in enumerate(reversed(USERS)):
        run(output.with_name("other"), wanted(user), fingerprint=f"m{number}")

    assert read_table(output.with_name("other")).drop_columns(["run_id", "generated_at"]) == whole


def test_only_output_folders_are_read(tmp_path: Path, output: Path) -> None:
    """Any other folder is refused by name; so is a table that does not exist."""
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(StoreError, match="no output folder"):
            read_table(path)
        with pytest.raises(StoreError, match="no output folder"):
            status(path)
    Store.open(output, buckets=BUCKETS)
    with pytest.raises(StoreError, match="nothing is published"):
        read_table(output)
    with pytest.raises(StoreError, match="no table"):
        read_table(output, "texts")


def test_a_file_that_is_not_as_recorded_is_refused(output: Path) -> None:
    """Changed, cut short, or gone."""
    snapshot = run(output, wanted(*USERS))
    assert snapshot is not None
    path = output / snapshot.files_of("results")[0].path
    right = path.read_bytes()
    for data in (right[:-1], right[:99] + b"x" + right[100:], b""):
        path.write_bytes(data)
        with pytest.raises(StoreDamagedError, match="differs from its checksum"):
            read_table(output)
    path.unlink()
    with pytest.raises(StoreDamagedError, match="is missing"):
        read_table(output)
    assert read_table(output, "candidates").num_rows == 3 * len(USERS)


def test_a_reader_that_is_overtaken_begins_again(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its snapshot was removed while it read: it gets a newer one, whole."""
    run(output, wanted("ada"))
    read = BucketFiles.read
    versions = [f"v{number}" for number in range(RETAINED + 1)]

    def overtaken(self: BucketFiles, file: DataFile, columns: Any = None) -> pa.Table:
        later, versions[:] = versions[:], []
        for version in later:
            run(output, wanted("ada", version=version))
        return read(self, file, columns)

    monkeypatch.setattr(BucketFiles, "read", overtaken)
    rows = read_table(output, "candidates")

    assert rows.num_rows == 3
    assert set(rows["run_id"].to_pylist()) == {read_run_id(output)}


def read_run_id(output: Path) -> str:
    """Return the run of the newest snapshot."""
    record = max((output / "_snapshots").iterdir())
    run_id: str = json.loads(record.read_bytes())["run_id"]
    return run_id


def test_a_damaged_record_is_not_passed_over(output: Path) -> None:
    """An older snapshot in its place would be a silent lie."""
    run(output, wanted("ada"))
    run(output, wanted("ada", version="v2"))
    record = output / "_snapshots" / "00000002.json"
    right = record.read_bytes()
    broken = json.loads(right)
    broken["files"] = broken["files"][1:]
    for data in (right[:-5], b"[]", b"{}", seal(broken)):
        record.write_bytes(data)
        with pytest.raises(StoreDamagedError, match="no whole snapshot record"):
            read_table(output)


def test_a_number_that_is_barred_is_no_snapshot(output: Path) -> None:
    """An empty record, by tidying or by a crash without hard links, is passed over for good."""
    run(output, wanted("ada"))
    (output / "_snapshots" / "00000002.json").touch()

    assert status(output)["snapshot"]["number"] == 1
    snapshot = run(output, wanted("ada", version="v2"))
    assert snapshot is not None
    assert (snapshot.number, snapshot.parent) == (3, 1)
    assert read_latest(output) == table_of(wanted("ada", version="v2"))


def test_status_tells_of_snapshot_run_and_unfinished_run(output: Path) -> None:
    """Ready for JSON, with nothing where there is nothing."""
    store = Store.open(output, buckets=BUCKETS)
    assert status(output) == {
        "snapshot": None,
        "kept": [],
        "run": None,
        "drops": None,
        "artefacts": {},
        "unfinished": None,
    }
    run(output, wanted(*USERS))
    with store.lock():
        journal = store.start_run("m2")
        plan = Plan(store, wanted("ada", "bo", version="v2"))
        plan.write(journal)
    state = status(output)

    assert json.loads(json.dumps(state)) == state
    live = state["snapshot"]
    assert live["number"] == 1
    assert live["results"] + live["rejections"] == state["run"]["requests"] == len(USERS)
    assert live["candidates"] == 3 * len(USERS)
    assert live["created_at"].endswith("+00:00")
    units = len([unit for units in plan.unit_ids.values() for unit in units])
    assert state["unfinished"] == {"run_id": journal.run_id, "units": units, "rows": 2}


def test_a_summary_can_be_kept_for_a_run_that_did_not_publish(output: Path) -> None:
    """The last summary wins."""
    run(output, {key_of("ada"): "v1"})
    Store.open(output, buckets=BUCKETS).record_run({"run_id": "x", "counts": {"requests": 5}})

    assert status(output)["run"] == {"requests": 5}
