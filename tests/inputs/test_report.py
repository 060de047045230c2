"""Laws of the report: everything that was done is counted once, with its place and a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from personalm.inputs import rawrows
from personalm.inputs.report import Effect, Finding, InputReport, Tally
from personalm.inputs.spill import spill
from personalm.settings import Inputs

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Write = Callable[..., str]


def _report(inputs: Inputs, tmp_path: Path) -> InputReport:
    with spill(inputs, tmp_path / "s", num_buckets=2) as spilled:
        return spilled.report


def test_every_finding_has_its_file_column_row_count_and_effect(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two files with the same fault each is told; rows count through batches."""
    monkeypatch.setattr(rawrows, "_MAX_ROWS", 1)
    columns = {
        "user_id": pa.array([1, 2, None, 1]),
        "text": ["x", "y\x00", "z\x00", "w" * 101],
        "created_at": ["2020-01-01", "soon", None, "2020-01-01T00:00Z"],
        "likes": [1, 2, 3, 4],
    }
    first = write("a.parquet", columns)
    second = write("b.parquet", {"user_id": ["a"], "text": ["v\x00"]})
    inputs = Inputs(interactions=(first, second), max_text_chars=100)
    found = {
        (f.file, f.column, f.effect, f.count, f.first_row)
        for f in _report(inputs, tmp_path).findings
    }
    assert found == {
        (first, "user_id", Effect.CAST, 3, 0),
        (first, "user_id", Effect.DROPPED, 1, 2),
        (first, "text", Effect.CHANGED, 2, 1),
        (first, "text", Effect.CHANGED, 1, 3),
        (first, "created_at", Effect.CAST, 3, 0),
        (first, "created_at", Effect.CAST, 1, 0),
        (first, "created_at", Effect.MISSING, 1, 1),
        (first, "likes", Effect.UNUSED, 4, None),
        (second, "text", Effect.CHANGED, 1, 0),
    }


def test_lines_take_files_together_and_leave_out_what_is_as_it_should_be(
    write: Write, tmp_path: Path
) -> None:
    """An operator of a thousand files reads a few lines."""
    paths = [
        write(f"{n}.parquet", {"user_id": [n], "text": ["v\x00"], "more": [1]}) for n in range(3)
    ]
    assert _report(Inputs(interactions=tuple(paths)), tmp_path).lines() == (
        "read 3 interactions",
        "interactions.text: 3 texts held NUL characters, which were removed",
    )


def test_times_without_a_zone_are_told_with_the_setting(write: Write, tmp_path: Path) -> None:
    """Nothing is lost, and the hour may be wrong: the doctor can say so."""
    times = pa.array([datetime(2020, 1, 1), None], pa.timestamp("ms"))  # noqa: DTZ001 - naive
    path = write("a.parquet", {"user_id": ["a", "b"], "updated_at": times})
    report = _report(Inputs(profiles=(path,), zone="Europe/Berlin"), tmp_path)
    (finding,) = (f for f in report.findings if "zone" in f.what)
    assert finding.what == "times without a zone were read as Europe/Berlin time"
    assert (finding.effect, finding.count) == (Effect.CAST, 1)
    assert "inputs.zone" in (finding.remedy or "")


def test_a_report_survives_its_json(write: Write, tmp_path: Path) -> None:
    """What another process reads is equal."""
    path = write("a.parquet", {"user_id": [1, None], "text": ["\x00", "x"], "more": [1, 2]})
    report = _report(Inputs(interactions=(path,)), tmp_path)
    assert len(report.findings) > 3
    assert InputReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_no_id_and_no_text_is_in_a_report(write: Write, tmp_path: Path) -> None:
    """It may be printed, logged and stored."""
    columns = {
        "user_id": [" canary-id ", "canary-id-2"],
        "text": ["canary-text\x00" * 90_000, "canary-text"],
        "created_at": ["canary-time", None],
    }
    report = _report(Inputs(interactions=(write("a.parquet", columns),)), tmp_path)
    assert "canary" not in json.dumps(report.to_json()).replace(str(tmp_path), "")
    assert {f.effect for f in report.findings} >= {Effect.KEPT, Effect.CHANGED, Effect.MISSING}


def test_a_tally_adds_up_and_keeps_the_first_row() -> None:
    """Nothing found is nothing noted."""
    tally = Tally("t")
    tally.add(Effect.DROPPED, "gone", 0, first_row=1)
    assert list(tally.findings) == []
    tally.add(Effect.DROPPED, "gone", 2, first_row=5)
    tally.add(Effect.DROPPED, "gone", 3, first_row=9)
    assert list(tally.findings) == [
        Finding(
            table="t",
            file=None,
            column=None,
            effect=Effect.DROPPED,
            what="gone",
            count=5,
            first_row=5,
        )
    ]
