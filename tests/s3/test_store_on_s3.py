"""Laws of an output on an object store: the same table, with nothing but conditional puts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from personalm import pipeline, read_results
from personalm.settings import load_settings
from personalm.store.reading import status
from personalm.store.verify import find_leftovers, verify

if TYPE_CHECKING:
    import pyarrow as pa

    from personalm.settings import Settings

ROOT = Path(__file__).parents[2]
KEY = ("user_id", "kind", "subject_id")


def settings_of(output: str | Path, **more: object) -> Settings:
    """Return the settings of the sample data, with fakes for the models."""
    return load_settings(
        ROOT / "personalm.toml",
        model="scripted",
        output=output,
        **{"selection.embedder": "scripted", "generation.languages": ["en"], "store.buckets": 4, **more},
    )


def comparable(table: pa.Table) -> pa.Table:
    """Return rows by key, without what differs from run to run."""
    return table.drop_columns(["run_id", "generated_at"]).sort_by([(k, "ascending") for k in KEY])


def test_local_and_remote_outputs_are_equal(s3: str, tmp_path: Path) -> None:
    """Where the output lies changes nothing but run ids and times."""
    pipeline.run(settings_of(tmp_path / "out"))
    pipeline.run(settings_of(f"{s3}/out"))

    assert comparable(read_results(f"{s3}/out")) == comparable(read_results(tmp_path / "out"))
    assert verify(f"{s3}/out") == ()
    assert find_leftovers(f"{s3}/out") == ()
    assert status(f"{s3}/out")["unfinished"] is None
