"""Merge the live rows of one bucket with what a run brings: one live row a key.

Pure: tables in, tables out. Rows are sorted by key, so that a table does not depend on the order
in which its units were written.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from personalm.accounts import Label
from personalm.errors import AccountingError
from personalm.store.schema import KEY, TABLES, keys_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from personalm.records import Key


def merge(
    live: Mapping[str, pa.Table],
    brought: Mapping[str, pa.Table],
    *,
    withdrawn: Collection[Key] = (),
    labels: Mapping[Key, Label] | None = None,
) -> dict[str, pa.Table]:
    """Return the tables that change, with all their rows.

    A key that is brought replaces all of its live rows; those of a withdrawn key go. `labels` say
    of some keys which request their row answers now.
    Raises AccountingError where a key would have two live rows.
    """
    decided = {key for name in ("results", "rejections") for key in keys_of(brought[name])}
    gone = decided | set(withdrawn)
    kept = {name: relabel(without(live[name], gone), labels or {}) for name in TABLES}
    brought = {name: relabel(brought[name], labels or {}) for name in TABLES}
    merged = {name: _sort(pa.concat_tables([kept[name], brought[name]])) for name in TABLES}
    _check_once(merged)
    return {
        name: merged[name]
        for name in TABLES
        if brought[name].num_rows or kept[name] is not live[name]
    }


def without(table: pa.Table, gone: Collection[Key]) -> pa.Table:
    """Return a table without the rows of some keys."""
    mask = [key not in gone for key in keys_of(table)]
    return table if all(mask) else table.filter(pa.array(mask, pa.bool_()))


def relabel(table: pa.Table, labels: Mapping[Key, Label]) -> pa.Table:
    """Return a table whose rows name the requests of their labels; itself where all do."""
    if not labels or "request_id" not in table.column_names:
        return table
    names = [field.name for field in fields(Label)]
    found = zip(keys_of(table), *(table[name].to_pylist() for name in names), strict=True)
    old = [(key, Label(request_id=id_, is_derived=bool(is_))) for key, id_, is_ in found]
    new = [labels.get(key, label) for key, label in old]
    if new == [label for _, label in old]:
        return table
    for name in names:
        column = pa.array([getattr(label, name) for label in new], table.schema.field(name).type)
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _sort(table: pa.Table) -> pa.Table:
    names = [*KEY, "number"] if "number" in table.column_names else list(KEY)
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names])
    return table.take(order)


def _check_once(merged: Mapping[str, pa.Table]) -> None:
    keys = [key for name in ("results", "rejections") for key in keys_of(merged[name])]
    if len(set(keys)) != len(keys):
        raise AccountingError(
            f"{len(keys) - len(set(keys))} of {len(keys)} rows of a bucket would be live twice; "
            "nothing is published"
        )
