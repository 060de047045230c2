"""Laws of how much the inputs hold, and how many buckets that makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from personalm.inputs.buckets import Buckets
from personalm.inputs.volume import Volume, measure_volume
from personalm.settings import Inputs

if TYPE_CHECKING:
    from pathlib import Path

Write = Callable[..., str]


def test_all_tables_of_users_count_and_items_do_not(write: Write) -> None:
    """The rows of every file of profiles, interactions and requests, by the footers."""
    profiles = write("p.parquet", {"user_id": list(range(7))})
    texts = write("i.parquet", {"user_id": [1] * 30, "text": ["x"] * 30}, row_group_size=4)
    requests = write("r.parquet", {"user_id": [1] * 5, "kind": ["post"] * 5})
    items = write("t.parquet", {"item_id": [1] * 1000, "title": ["x"] * 1000})

    inputs = Inputs(profiles=(profiles,), interactions=(texts,), requests=(requests,))
    volume = measure_volume(inputs)

    assert volume.num_rows == 42
    assert volume.num_bytes > 0
    assert measure_volume(inputs.model_copy(update={"items": (items,)})) == volume


def test_what_cannot_be_opened_counts_for_nothing(write: Write) -> None:
    """To measure is no check: the other tables are still counted."""
    profiles = write("p.parquet", {"user_id": [1, 2]})
    inputs = Inputs(profiles=(profiles,), interactions=("/nowhere/at/all",))

    assert measure_volume(inputs).num_rows == 2
    assert measure_volume(Inputs()) == Volume()


@pytest.mark.parametrize(
    ("num_rows", "num_bytes", "expected"),
    [
        (0, 0, 4),
        (5 * 16_384, 0, 5),
        (16 * 16_384, 0, 16),
        (16 * 16_384 + 1, 0, 17),
        (1, 800 << 20, 100),
        (2_100_000_000, 300 << 30, 4_096),
    ],
)
def test_buckets_follow_rows_and_bytes(num_rows: int, num_bytes: int, expected: int) -> None:
    """Small inputs have 4 buckets; with larger ones a bucket keeps its size, up to 4,096."""
    assert Volume(num_rows=num_rows, num_bytes=num_bytes).num_buckets == expected


@pytest.mark.parametrize(("num_buckets", "num_files"), [(16, 16), (1_100, 0)])
def test_more_buckets_wait_for_more_rows(num_buckets: int, num_files: int, tmp_path: Path) -> None:
    """Rows are written many at a time, however many buckets they are laid into."""
    rows = pa.record_batch({"user_id": pa.array(["x"] * 70_000)})
    buckets = Buckets(tmp_path / "rows", rows.schema, num_buckets=num_buckets)
    buckets.create()
    buckets.add(rows, np.arange(70_000, dtype=np.int64) % num_buckets)

    assert len(list((tmp_path / "rows").iterdir())) == num_files

    buckets.flush()
    assert sum(len(buckets.read(bucket)) for bucket in range(num_buckets)) == 70_000
