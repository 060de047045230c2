"""Exports: Parquet as it is, CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import weakref
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.errors import StoreError
from personalm.records import Key
from personalm.store.bucket_files import BucketFiles
from personalm.store.export import encode_csv, export
from personalm.store.reading import read_table
from personalm.store.schema import RESULTS, TABLES, split_unit, to_unit
from tests.store.strategies import texts
from tests.store.world import key_of, outcome_of, run, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.records import Outcome
    from personalm.store.snapshots import DataFile

USERS = ("ada", "bo", "cy", "dee", "eve", "fox", "gil")
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def with_text(text: str) -> Outcome:
    """Return a result with a text of one's choice."""
    outcome = next(o for o in (outcome_of(key_of(user), "v") for user in USERS) if o.result)
    assert outcome.result is not None
    return replace(outcome, result=replace(outcome.result, text=text, style_score=-0.5))


def with_text_everywhere(text: str) -> Outcome:
    """Return a result with a text in every column that holds text of others."""
    outcome = with_text(text)
    assert outcome.result is not None
    key = Key(user_id=text, kind=text, subject_id=text)
    named: dict[str, Any] = dict.fromkeys(
        ("request_id", "model", "template", "language", "tier"), text
    )
    return replace(outcome, result=replace(outcome.result, key=key, **named))


def cells_of(*given_texts: str, everywhere: bool = False) -> list[dict[str, str]]:
    """Return the rows of a CSV file as a reader of RFC 4180 gets them."""
    make = with_text_everywhere if everywhere else with_text
    unit = to_unit([make(t) for t in given_texts], run_id="r", generated_at=NOW)
    text = b"".join(encode_csv(RESULTS, iter([split_unit(unit)["results"]]))).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".CSV"])
def test_every_live_row_is_exported(output: Path, tmp_path: Path, table: str, suffix: str) -> None:
    """Into one file, with its columns."""
    run(output, wanted(*USERS))
    rows = read_table(output, table)
    target = tmp_path / f"texts{suffix}"

    assert export(output, target, table=table) == rows.num_rows
    if suffix == ".parquet":
        assert pq.ParquetFile(target).read() == rows
    else:
        found = list(csv.reader(target.open(newline="", encoding="utf-8")))
        assert found[0] == rows.column_names
        assert len(found) == rows.num_rows + 1
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_file_is_only_replaced_when_asked(output: Path, tmp_path: Path) -> None:
    """Without force it is left as it is."""
    run(output, wanted(*USERS))
    target = tmp_path / "texts.csv"
    target.write_text("mine")
    with pytest.raises(StoreError, match="exists"):
        export(output, target)
    assert target.read_text() == "mine"
    export(output, target, force=True)

    assert target.read_text().startswith('"user_id","kind"')


def test_other_formats_and_folders_are_refused(output: Path, tmp_path: Path) -> None:
    """By name, before anything is read or written."""
    run(output, wanted(*USERS))
    for name in ("texts.xlsx", "texts"):
        with pytest.raises(StoreError, match=r"\.parquet or \.csv"):
            export(output, tmp_path / name)
    with pytest.raises(StoreError, match="cannot be written"):
        export(output, tmp_path / "absent" / "texts.csv")


STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
HIDDEN = (" =", "\x0b=", "\x1b+", "\u00a0-", "\ufeff@", "\u200b=", "\t =", "\r\n+")


@pytest.mark.parametrize("start", STARTS + HIDDEN)
def test_no_cell_starts_a_formula(start: str) -> None:
    """An apostrophe goes before a text, an id, a kind or a message; numbers stay numbers."""
    text = start + 'HYPERLINK("http://x","y")'
    (row,) = cells_of(text, everywhere=True)
    named = ("user_id", "kind", "subject_id", "request_id", "model", "template", "language", "tier")

    assert {name: row[name] for name in ("text", *named)} == dict.fromkeys(
        ("text", *named), "'" + text
    )
    assert row["style_score"] == "-0.5"
    assert row["adapter"] == ""
    assert row["generated_at"] == "2026-02-03T04:05:06+00:00"


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3))
def test_texts_survive_csv(given_texts: list[str]) -> None:
    """Quotes, commas, line ends and NUL come back as they were, behind the apostrophe."""
    rows = cells_of(*given_texts)

    assert [row["text"].removeprefix("'") for row in rows] == [
        text.removeprefix("'") for text in given_texts
    ]
    assert all(list(row) == RESULTS.names for row in rows)


GOLDEN = (
    '"user_id","reason","seed"\r\n'
    '"\'=1+1","\'@SUM(A1)",-7\r\n'
    '"007","a;""b""\r\n=c",""\r\n'
    '"","–",0\r\n'
)


def test_the_form_of_a_cell_does_not_change() -> None:
    """Texts are quoted and numbers bare, so that no separator of any country splits a text."""
    table = pa.table(
        {
            "user_id": ["=1+1", "007", None],
            "reason": ["@SUM(A1)", 'a;"b"\r\n=c', "–"],
            "seed": [-7, None, 0],
        }
    )

    assert b"".join(encode_csv(table.schema, iter([table]))).decode() == GOLDEN


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_no_more_than_one_bucket_is_held_at_a_time(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A table goes through memory in parts; each is let go before the next but one comes."""
    run(output, wanted(*(f"user-{n}" for n in range(60))), buckets=16)
    read = BucketFiles.read
    parts: list[weakref.ref[Any]] = []

    def watching(self: BucketFiles, file: DataFile, columns: Any = None) -> pa.Table:
        assert sum(part() is not None for part in parts) <= 1
        table = read(self, file, columns)
        parts.append(weakref.ref(table))
        return table

    monkeypatch.setattr(BucketFiles, "read", watching)
    export(output, tmp_path / f"texts{suffix}", table="candidates")

    assert len(parts) > 10
