"""Verification finds what is wrong, and nothing where all is well."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm.store import verify as verifying
from personalm.store.parquet import encode
from personalm.store.sealing import seal
from personalm.store.store import Store
from personalm.store.verify import find_leftovers, verify
from tests.store.world import run, wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USERS = ("ada", "bo", "cy", "dee", "eve", "fox", "gil")


@pytest.fixture
def published(output: Path) -> Path:
    """Return an output folder with two snapshots."""
    run(output, wanted(*USERS))
    run(output, wanted("ada", version="v2"))
    return output


def newest(output: Path) -> Path:
    """Return the newest commit record."""
    return max((output / "_snapshots").iterdir())


def a_file(output: Path, table: str = "results") -> dict[str, Any]:
    """Return what the newest record says of one file."""
    files: list[dict[str, Any]] = json.loads(newest(output).read_bytes())["files"]
    return next(file for file in files if file["table"] == table)


def rewrite(output: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the rows of a file, and its record to match, as no bug of ours should."""
    file = a_file(output)
    path = output / file["path"]
    data = encode(change(pq.ParquetFile(path).read()))
    path.unlink()
    path.write_bytes(data)
    rows = pq.ParquetFile(path).metadata.num_rows
    text = newest(output).read_text()
    record = json.loads(text)
    for entry in record["files"]:
        if entry["path"] == file["path"]:
            entry |= {"sha256": hashlib.sha256(data).hexdigest(), "rows": rows, "bytes": len(data)}
    record["live"]["results"] += rows - file["rows"]
    newest(output).write_bytes(seal(record))
    for older in (output / "_snapshots").iterdir():
        if older != newest(output):
            older.unlink()


def test_a_sound_folder_has_no_problems(published: Path) -> None:
    """Nor has one before its first snapshot of rows."""
    assert verify(published) == ()
    assert verify(str(published)) == ()


@pytest.mark.parametrize("vacuums", [True, False])
def test_a_run_that_publishes_meanwhile_is_no_problem(
    published: Path,
    vacuums: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`latest` leads elsewhere then, and the files of the older snapshot may be gone."""
    versions = iter(["v3", "v4"])

    def publish_first(*arguments: Any) -> Any:
        for version in versions:
            run(published, wanted("ada", "bo", version=version))
            if vacuums:
                store = Store.require(published)
                with store.lock():
                    store.vacuum(keep=1)
            break
        return check_buckets(*arguments)

    check_buckets = verifying._check_buckets
    monkeypatch.setattr(verifying, "_check_buckets", publish_first)

    assert verify(published) == ()
    assert next(versions, None) is None


def test_a_missing_file_is_found(published: Path) -> None:
    """It is named."""
    path = a_file(published)["path"]
    (published / path).unlink()

    assert any(path in problem and "missing" in problem for problem in verify(published))


def test_a_flipped_byte_is_found(published: Path) -> None:
    """In every table, by its checksum."""
    for table in ("results", "candidates"):
        path = published / a_file(published, table)["path"]
        right = path.read_bytes()
        path.write_bytes(right[:60] + bytes([right[60] ^ 1]) + right[61:])
        (problem,) = verify(published)
        assert path.name in problem
        assert "checksum" in problem
        path.write_bytes(right)
    assert verify(published) == ()


def test_other_rows_than_recorded_are_found(published: Path) -> None:
    """The record and the file must agree on the number of rows."""
    record = json.loads(newest(published).read_bytes())
    file = next(file for file in record["files"] if file["table"] == "results")
    file["rows"] += 1
    record["live"]["results"] += 1
    newest(published).write_bytes(seal(record))

    assert any("rows" in problem for problem in verify(published))


def test_a_key_that_is_live_twice_is_found(published: Path) -> None:
    """Even where every checksum is right."""
    rewrite(published, lambda table: pa.concat_tables([table, table.slice(0, 1)]))

    assert any("1 keys are live twice" in problem for problem in verify(published))


def test_a_row_in_a_strange_bucket_is_found(published: Path) -> None:
    """It could be live a second time in its own bucket."""

    def stray(table: pa.Table) -> pa.Table:
        users = pa.array([f"u{n}" for n in range(20)])
        first = table.slice(0, 1)
        rows = pa.concat_tables([first] * 20).drop_columns(["user_id"])
        return pa.concat_tables([table, rows.add_column(0, table.schema.field(0), users)])

    rewrite(published, stray)
    assert any("belong to other buckets" in problem for problem in verify(published))


def test_a_latest_that_leads_elsewhere_is_found(published: Path) -> None:
    """Pointing to an old view, to a view with a file too few, or gone; the next run mends it."""
    view = published / "_views" / "00000002" / "results"
    latest = published / "latest"

    def point_back() -> None:
        latest.unlink()
        latest.symlink_to("_views/00000001")

    for damage in (point_back, latest.unlink, next(view.iterdir()).unlink):
        damage()
        (problem,) = verify(published)
        assert "latest does not lead to" in problem
        run(published, {})
        assert verify(published) == ()


def test_a_damaged_record_is_found(published: Path) -> None:
    """An older one too."""
    for record in sorted((published / "_snapshots").iterdir()):
        right = record.read_bytes()
        record.write_bytes(right[:-5])
        assert any(record.name in problem for problem in verify(published))
        record.write_bytes(right)


def test_candidates_of_no_live_row_are_found(published: Path) -> None:
    """Even where every checksum is right."""
    rewrite(published, lambda table: table.slice(0, table.num_rows - 1))

    assert any("1 keys have candidates and no live row" in p for p in verify(published))


def test_leftovers_are_no_problem(published: Path) -> None:
    """They are listed, and gone after the next run."""
    leftovers = (
        ".tmp-00",
        "_data/results/.tmp-01",
        "_data/results/0000-00.parquet",
        # A run that is killed while it shows an empty table leaves one here.
        "_views/00000002/rejections/.tmp-02",
    )
    for name in leftovers:
        (published / name).touch()

    assert verify(published) == ()
    assert find_leftovers(published) == tuple(sorted(leftovers))
    run(published, {})
    assert find_leftovers(published) == ()
