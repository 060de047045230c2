"""What can be seen of an output folder: by our reader, by one of plain Parquet, and by a search."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from personalm.errors import StoreError
from personalm.store.reading import read_table
from tests.life.world import KINDS, Row, View, telling_words
from tests.population import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path


def our_view(output: Path) -> View:
    """Return what our reader sees, nothing where nothing is published yet."""
    try:
        return _view({table: read_table(output, table).to_pylist() for table in TABLES})
    except StoreError as error:
        if type(error) is StoreError and (
            "nothing is published" in str(error) or "no output folder" in str(error)
        ):
            return {}
        raise


def plain_view(output: Path) -> View:
    """Return what a reader of plain Parquet sees that goes through `latest`."""
    latest = (output / "latest").resolve()
    return _view(
        {
            table: [
                row
                for file in sorted((latest / table).glob("*.parquet"))
                for row in pq.ParquetFile(file).read(use_threads=False).to_pylist()
            ]
            for table in TABLES
        }
    )


def find_traces(output: Path, words: Collection[str]) -> list[str]:
    """Return the files that hold one of these words: as bytes, as decoded Parquet, as names."""
    found = []
    for path in sorted(output.rglob("*")):
        content = path.name
        if path.is_file():
            content += path.read_bytes().decode(errors="replace")
            with suppress(OSError, ValueError):
                content += repr(pq.ParquetFile(path).read(use_threads=False).to_pylist())
        found += [str(path)] if any(word in content for word in words) else []
    return found


def journalled_rows(output: Path) -> int:
    """Return the texts in the journals of unfinished runs; what planning refused is none."""
    num_rows = 0
    for unit in output.glob("_runs/*/units/[!.]*"):
        if "rejected" not in unit.name:
            with suppress(OSError, ValueError):
                num_rows += pq.read_metadata(unit).num_rows
    return num_rows


def _view(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> View:
    rows = [
        (_place(r), Row(words=telling_words(r["text"]), request_id=r["request_id"]))
        for r in tables["results"]
    ]
    rows += [
        (_place(r), Row(reason=r["reason"], request_id=r["request_id"]))
        for r in tables["rejections"]
    ]
    view = dict(rows)
    assert len(view) == len(rows), "a key is live twice"
    drawn: dict[tuple[str, str, str], set[frozenset[str]]] = {}
    for candidate in tables["candidates"]:
        drawn.setdefault(_place(candidate), set()).add(telling_words(candidate["text"]))
    for place, row in view.items():
        # All candidates of a text were written from what the text was written from.
        assert drawn.pop(place, {row.words}) == {row.words}, "candidates of another text"
    assert not drawn, "candidates of no row"
    assert {place[1] for place, row in view.items() if not row.reason} <= set(KINDS)
    return view


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["user_id"], row["kind"], row["subject_id"]
