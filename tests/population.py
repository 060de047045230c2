"""A population as Parquet, and settings of a run over it with the shipped fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.settings import load_settings
from personalm.store.reading import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from personalm.settings import Settings

POST = """+++
subject = "topic"
max_new_tokens = 20
gates = ["empty"]
candidates = 2
+++
{{ 10 // (user.facts.age | default(1) | int(1)) }} {{ user.name }}
{% for text in samples %}{{ text | one_line }}
{% endfor %}
Topic: {{ subject }}
Post:"""

NOTE = """+++
subject = "given"
max_new_tokens = 20
gates = ["empty"]
candidates = 2
+++
Passage: {{ subject }} {{ instructions }}
Note:"""

STRICT = """+++
subject = "given"
max_new_tokens = 20
gates = ["empty"]
candidates = 2
min_words = 500
+++
{{ subject }}"""
"""A kind whose every candidate is dropped."""

TABLES = ("results", "rejections", "candidates")


@dataclass(frozen=True, kw_only=True)
class Person:
    """One user of the tables; `asks` are rows of the requests table."""

    user_id: str
    texts: tuple[str, ...] = ("my kettle is on", "a new kettle", "the kettle sings")
    name: str | None = None
    age: int | None = None
    opt_out: bool = False
    asks: tuple[Mapping[str, str], ...] = field(default=())


def write_population(
    folder: Path, people: Sequence[Person], *, has_requests: bool = False
) -> dict[str, Any]:
    """Write the tables of some people, in place of those before; return the input settings."""
    folder.mkdir(parents=True, exist_ok=True)
    text, flag = pa.string(), pa.bool_()
    profiles = {"user_id": text, "name": text, "age": pa.int64(), "opt_out": flag}
    rows = {
        "profiles": (profiles, [{name: getattr(p, name) for name in profiles} for p in people]),
        "interactions": (
            {"user_id": text, "text": text},
            [{"user_id": p.user_id, "text": t} for p in people for t in p.texts],
        ),
    }
    if has_requests:
        names = (
            "user_id",
            "kind",
            "request_id",
            "subject_id",
            "subject",
            "instructions",
            "voice_id",
        )
        asked = [{"user_id": p.user_id, **ask} for p in people for ask in p.asks]
        rows["requests"] = (dict.fromkeys(names, text), asked)
    for table, (columns, values) in rows.items():
        schema = pa.schema(list(columns.items()))
        pq.write_table(pa.Table.from_pylist(values, schema=schema), folder / f"{table}.parquet")
    return {f"inputs.{table}": str(folder / f"{table}.parquet") for table in rows}


def write_templates(folder: Path, **templates: str) -> Path:
    """Write templates of one's own: `post`, `note` and `strict`, and those given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in {"post": POST, "note": NOTE, "strict": STRICT, **templates}.items():
        (folder / f"{name}.j2").write_text(source, encoding="utf-8")
    return folder


def make_settings(
    folder: Path, people: Sequence[Person], *, has_requests: bool = False, **overrides: Any
) -> Settings:
    """Write a population and its templates below a folder; return the settings of its runs."""
    given = {
        "model": "scripted",
        "selection.embedder": "scripted",
        "output": folder / "out",
        "store.buckets": 4,
        "templates_dir": folder / "templates",
        **write_population(folder / "in", people, has_requests=has_requests),
        **overrides,
    }
    if not (folder / "templates").exists():
        write_templates(folder / "templates")
    empty = folder / "empty.toml"
    empty.write_text("", encoding="utf-8")
    return load_settings(empty, **given)


def rows_of(output: Path, *, without: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the live rows of every table, without one user, and what differs between runs."""
    return {
        name: [
            {k: v for k, v in row.items() if k not in {"run_id", "generated_at"}}
            for row in read_table(output, name).to_pylist()
            if row["user_id"] != without
        ]
        for name in TABLES
    }
