"""The items table: every item of the catalogue, in the order of the files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from personalm.errors import InputError
from personalm.inputs.contract import FACTS, ITEMS
from personalm.inputs.facts import decode_facts
from personalm.inputs.report import Effect, InputReport, Tally, make_report
from personalm.inputs.tables import InputTable
from personalm.records import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.inputs.columns import Batch
    from personalm.settings import Inputs

_log = logging.getLogger(__name__)


def read_items(inputs: Inputs) -> tuple[Item, ...]:
    """Return the items, none where there is no table; what was dropped is logged.

    Raises InputError for an id that two rows have.
    """
    items, report = load_items(inputs)
    for line in report.lines()[1:]:
        _log.warning("%s", line)
    return items


def load_items(inputs: Inputs) -> tuple[tuple[Item, ...], InputReport]:
    """Return the items, and what was found while they were read."""
    table = InputTable.find(inputs, ITEMS)
    if table is None:
        return (), InputReport()
    tally = Tally(ITEMS.table)
    items: dict[str, Item] = {}
    rows: dict[str, tuple[str, int]] = {}
    for batch in table.batches(tally):
        for number, item in _items_of(batch, tally):
            if item.item_id in rows:
                file, row = rows[item.item_id]
                raise InputError(
                    f"the same item_id is there twice: also in row {row} of {file}",
                    file=batch.file,
                    column="item_id",
                    row=number,
                    remedy="Take one of the rows out.",
                )
            rows[item.item_id] = (batch.file, number)
            items[item.item_id] = item
    return tuple(items.values()), make_report([tally])


def _items_of(batch: Batch, tally: Tally) -> Iterator[tuple[int, Item]]:
    has_id, has_title = (pc.is_valid(batch.rows.column(n)) for n in ("item_id", "title"))
    what = "rows dropped: they name no item"
    tally.mark(batch.place("item_id"), pc.invert(has_id), Effect.DROPPED, what)
    untitled = pc.and_not(has_id, has_title)
    what = "rows dropped: they have no title"
    tally.mark(batch.place("title"), untitled, Effect.DROPPED, what)
    kept = batch.filter(pc.and_(has_id, has_title))
    columns = (kept.rows.column(name).to_pylist() for name in (*ITEMS.columns, FACTS))
    for number, item_id, title, description, facts in zip(
        kept.numbers.to_pylist(), *columns, strict=True
    ):
        yield (
            number,
            Item(
                item_id=item_id,
                title=title,
                description=description,
                facts=decode_facts(facts),
            ),
        )
