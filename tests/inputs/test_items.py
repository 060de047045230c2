"""Laws of the items table."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from personalm.errors import InputError
from personalm.inputs.items import load_items, read_items
from personalm.records import Item
from personalm.settings import Inputs

Write = Callable[..., str]


def test_items_keep_the_order_of_the_files(write: Write) -> None:
    """Files by name, rows as they stand; extra columns are facts."""
    b = write("b.parquet", {"item_id": ["x"], "title": ["X"], "price": [2.5]})
    a = write("a.parquet", {"item_id": [2, 1], "title": ["Two", "One"], "description": ["d", None]})
    assert read_items(Inputs(items=(b, a))) == (
        Item(item_id="2", title="Two", description="d"),
        Item(item_id="1", title="One"),
        Item(item_id="x", title="X", facts={"price": 2.5}),
    )
    assert read_items(Inputs()) == ()


def test_an_item_twice_names_both_rows(write: Write) -> None:
    """The number 1 and the text "1" are one item."""
    a = write("a.parquet", {"item_id": [0, 1], "title": ["Zero", "One"]})
    b = write("b.parquet", {"item_id": ["1"], "title": ["Uno"]})
    with pytest.raises(InputError, match=rf"also in row 1 of {a}") as caught:
        read_items(Inputs(items=(a, b)))
    assert (caught.value.file, caught.value.row) == (b, 0)


def test_items_without_a_title_are_dropped_and_counted(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """The count is in the report and in the log, and no title is."""
    path = write("a.parquet", {"item_id": ["1", "2", None], "title": ["Secret", " ", "C"]})
    items, report = load_items(Inputs(items=(path,)))
    assert [item.item_id for item in items] == ["1"]
    assert report.count_of("items", "title") == report.count_of("items", "item_id") == 1
    with caplog.at_level(logging.WARNING):
        read_items(Inputs(items=(path,)))
    assert "1 rows dropped: they have no title" in caplog.text
    assert "Secret" not in caplog.text
