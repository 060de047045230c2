"""Laws of a run that leaves damaged files out: it takes nothing away for want of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.accounts import Scope
from personalm.errors import SettingsError
from personalm.forecasting import forecast
from tests.population import POST, Person, make_settings, rows_of, write_templates

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.settings import Settings

ITEMS = ("i1", "i2")


def make(folder: Path) -> Settings:
    """Write two people who ask about an item each, items and requests in two files each."""
    people = [Person(user_id=f"u{n}") for n in (1, 2)]
    for table in ("items", "requests"):
        (folder / table).mkdir(exist_ok=True)
    for n, item in enumerate(ITEMS, start=1):
        pq.write_table(
            pa.table({"item_id": [item], "title": [f"Kettle {n}"]}), folder / f"items/{n}.parquet"
        )
        pq.write_table(
            pa.table({"user_id": [f"u{n}"], "kind": ["ad"], "subject_id": [item]}),
            folder / f"requests/{n}.parquet",
        )
    write_templates(folder / "templates", ad=POST.replace('subject = "topic"', 'subject = "item"'))
    given: dict[str, Any] = {
        "inputs.items": str(folder / "items"),
        "inputs.requests": str(folder / "requests"),
        "inputs.damaged": "skip",
    }
    return make_settings(folder, people, **given)


def damage(path: Path) -> bytes:
    """Cut a file in half; return what it was."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return data


def test_a_result_whose_item_cannot_be_read_stays(memory_path: Path) -> None:
    """It is left for a run that reads everything; a forecast says so, too."""
    settings = make(memory_path)
    assert pipeline.run(settings).counts.results == 2
    before = rows_of(settings.output)
    whole = damage(memory_path / "items" / "2.parquet")

    expected = forecast(settings).counts
    counts = pipeline.run(settings).counts

    assert rows_of(settings.output) == before
    assert (counts.unchanged, counts.deferred, counts.rejections) == (1, 1, 0)
    assert (expected.unchanged, expected.deferred, expected.rejections) == (1, 1, 0)
    (memory_path / "items" / "2.parquet").write_bytes(whole)
    assert pipeline.run(settings).counts.unchanged == 2


def test_who_had_no_result_is_refused_all_the_same(memory_path: Path) -> None:
    """There is nothing to keep, and the reason is told."""
    settings = make(memory_path)
    damage(memory_path / "items" / "2.parquet")

    counts = pipeline.run(settings).counts

    assert (counts.results, counts.rejections, counts.deferred) == (1, 1, 0)


def test_nothing_is_withdrawn_while_requests_cannot_be_read(memory_path: Path) -> None:
    """They may ask for any row; without that wish the run goes on."""
    settings = make(memory_path)
    pipeline.run(settings)
    before = rows_of(settings.output)
    damage(memory_path / "requests" / "2.parquet")

    with pytest.raises(SettingsError, match=r"1 damaged files are left out.*\n.*without --prune"):
        pipeline.run(settings, scope=Scope(prunes=True))
    counts = pipeline.run(settings).counts

    assert (counts.unchanged, counts.orphaned, counts.withdrawn) == (1, 1, 0)
    assert rows_of(settings.output) == before
