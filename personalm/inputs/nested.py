"""Interactions that lie in their user's profile row, as a list: one row each, as in a table.

The list holds texts, or structs whose fields are named like the columns of interactions. An empty
list and a missing one are no history; a missing element is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalm.errors import InputError
from personalm.inputs.rawrows import RawReader, RawRows
from personalm.inputs.texts import is_text_type, plain, type_without_views, without_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow.parquet as pq

    from personalm.inputs.files import SourceFile

USER = "user_id"
"""Column of the contract that names the user."""

_MAX_ROWS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedReader:
    """Reads the lists of one file; `schema` has the columns of the rows that come of it."""

    raw: RawReader
    schema: pa.Schema
    fields: frozenset[str]
    """Fields of the structs that are read."""
    user: str | None
    """Column of the file that names the user; None where its folders do."""
    history: str

    def read(self, parquet: pq.ParquetFile, groups: Sequence[int]) -> Iterator[RawRows]:
        """Read row groups that follow each other; each row has the number of its profile row."""
        for raw in self.raw.read(parquet, groups):
            lists = as_lists(raw.rows.column(self.history))
            parents = pc.list_parent_indices(lists)
            elements = without_views(plain(pc.list_flatten(lists)))
            there = pc.is_valid(elements)
            parents, elements = parents.filter(there), elements.filter(there)
            for first in range(0, len(elements), _MAX_ROWS):
                some = parents.slice(first, _MAX_ROWS)
                columns = self._fields(elements.slice(first, _MAX_ROWS))
                if self.user is not None:
                    columns.insert(0, without_views(raw.rows.column(self.user)).take(some))
                yield RawRows(
                    rows=pa.RecordBatch.from_arrays(columns, schema=self.schema),
                    numbers=raw.numbers.take(some),
                )

    def may_hold(
        self, parquet: pq.ParquetFile, group: int, ids: Mapping[str, Iterable[str]]
    ) -> bool:
        """Say whether a row group may hold one of these ids: only users can be told apart."""
        if self.user is None or set(ids) != {USER}:
            return True
        return self.raw.may_hold(parquet, group, self.user, ids[USER])

    def _fields(self, elements: pa.Array[Any]) -> list[pa.Array[Any]]:
        if not pa.types.is_struct(elements.type):
            return [elements]
        fields = zip(elements.type, elements.flatten(), strict=True)
        return [values for field, values in fields if field.name in self.fields]


def make_nested(
    file: SourceFile,
    *,
    user: str,
    history: str,
    user_name: str,
    text_name: str,
    max_group_bytes: int,
) -> NestedReader | None:
    """Return the reader of a file's lists, None where the column is not there or is no list.

    `user` and `history` are columns of the file; `user_name` and `text_name` are what the rows
    call the user, and an element that is plain text. Raises InputError for lists of anything else.
    """
    if file.schema.names.count(history) != 1:
        return None
    kind = file.schema.field(history).type
    if not is_list(kind):
        return None
    fields = _fields_of(kind.value_type, text_name)
    if fields is None:
        raise InputError(
            f"the column holds {kind}, not lists of texts or of structs",
            file=str(file.path),
            column=history,
            remedy="Write it as list<struct<text, created_at, ...>>, or map another column.",
        )
    is_stored = user in file.schema.names
    own = (
        [pa.field(user_name, type_without_views(file.schema.field(user).type))] if is_stored else []
    )
    # Whose profile it is says whose interaction it is, whatever a struct may claim.
    others = [field for field in fields if field.name != user_name]
    return NestedReader(
        raw=RawReader(
            file=file,
            columns=(user, history) if is_stored else (history,),
            max_group_bytes=max_group_bytes,
        ),
        schema=pa.schema(own + others),
        fields=frozenset(field.name for field in others),
        user=user if is_stored else None,
        history=history,
    )


def is_list(kind: pa.DataType) -> bool:
    """Say whether a type is one of lists."""
    tests = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def as_lists(values: pa.Array[Any]) -> pa.Array[Any]:
    """Return lists of any kind as plain ones."""
    values = plain(values)
    # Under a missing list there may lie elements, and under one of fixed size there always do.
    lengths = pc.fill_null(pc.list_value_length(values), 0)
    ends = np.cumsum(lengths.to_numpy(zero_copy_only=False), dtype=np.int32)
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([np.zeros(1, np.int32), ends])),
        pc.list_flatten(values),
        type=pa.list_(values.type.value_field),
        mask=pc.is_null(values),
    )


def _fields_of(kind: pa.DataType, text_name: str) -> list[pa.Field] | None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        return [field.with_type(type_without_views(field.type)) for field in kind]
    if is_text_type(kind) or pa.types.is_null(kind):
        return [pa.field(text_name, type_without_views(kind))]
    return None
