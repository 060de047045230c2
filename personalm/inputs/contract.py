"""The data contract: the columns of the four tables, what form each has and which are required.

It knows names and Arrow types only; how a file's own types become these is told elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

HISTORY = "interactions"
"""Column of profiles that may hold a user's interactions as a list."""

FACTS = "facts"
"""Column of a read table that holds the extra columns of each row, as JSON."""


class Form(StrEnum):
    """What the values of a column are."""

    ID = "id"
    TEXT = "text"
    TEXTS = "list of text"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"


TYPES: Mapping[Form, pa.DataType] = {
    Form.ID: pa.string(),
    Form.TEXT: pa.string(),
    Form.TEXTS: pa.list_(pa.string()),
    Form.NUMBER: pa.float64(),
    Form.FLAG: pa.bool_(),
    Form.TIME: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One table: its columns by name, and groups of columns of which a file must have one each."""

    table: str
    columns: Mapping[str, Form]
    required: tuple[tuple[str, ...], ...]
    has_facts: bool = True
    nested: tuple[str, ...] = ()
    """Columns that hold lists of rows of another table: they may be mapped, and are no facts."""

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the rows as they are read, the same for every file."""
        fields = [pa.field(name, TYPES[form]) for name, form in self.columns.items()]
        return pa.schema(fields + ([pa.field(FACTS, pa.string())] if self.has_facts else []))


PROFILES = Contract(
    table="profiles",
    columns={
        "user_id": Form.ID,
        "name": Form.TEXT,
        "language": Form.TEXT,
        "traits": Form.TEXTS,
        "opt_out": Form.FLAG,
        "updated_at": Form.TIME,
    },
    required=(("user_id",),),
    nested=(HISTORY,),
)

INTERACTIONS = Contract(
    table="interactions",
    columns={
        "user_id": Form.ID,
        "text": Form.TEXT,
        "kind": Form.TEXT,
        "item_id": Form.ID,
        "rating": Form.NUMBER,
        "created_at": Form.TIME,
        "text_id": Form.ID,
        "thread_id": Form.ID,
    },
    required=(("user_id",), ("text", "item_id")),
    has_facts=False,
)

ITEMS = Contract(
    table="items",
    columns={"item_id": Form.ID, "title": Form.TEXT, "description": Form.TEXT},
    required=(("item_id",), ("title",)),
)

REQUESTS = Contract(
    table="requests",
    columns={
        "user_id": Form.ID,
        "kind": Form.TEXT,
        "subject_id": Form.ID,
        "subject": Form.TEXT,
        "instructions": Form.TEXT,
        "thread_id": Form.ID,
        "voice_id": Form.ID,
        "request_id": Form.ID,
    },
    required=(("user_id",), ("kind",)),
)
