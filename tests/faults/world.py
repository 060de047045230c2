"""A small world for the real command: inputs of two nights, and what readers see of an output.

Everything lies in one folder, so that a copy of it is a world of its own. Its people are few, and
yet enough for what is made of all of them together: the leak index and the pool of impostors.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.errors import PersonalmError, StoreError
from personalm.store.reading import read_table
from personalm.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FIRST, SECOND = "first.toml", "second.toml"
"""Settings of the two nights; the second has another text, a newcomer, and one who opted out."""

USERS = ("canary-ada", "canary-bo", "canary-cy", "canary-dee")
NEWCOMER = "canary-eve"

# What somebody alone wrote is what an index of leaks and a pool of impostors hold.
_PLACES = dict(zip((*USERS, NEWCOMER), ("harbour", "mill", "bridge", "lake", "ferry"), strict=True))

_VOLATILE = ["run_id", "generated_at"]

_SETTINGS = """
model = "scripted"
output = "{output}"

[inputs]
profiles = "{inputs}/profiles.parquet"
interactions = "{inputs}/interactions.parquet"
requests = "{inputs}/requests.parquet"

[generation]
languages = ["en"]
candidates = 4

[selection]
embedder = "scripted"
min_impostors = 3
min_scored_texts = 2

[store]
buckets = 2
keep = 2
"""


def make_world(place: Path) -> None:
    """Write the inputs and settings of both nights; the output does not exist yet."""
    _write_night(place, FIRST, USERS, changed=None, opted_out=None)
    _write_night(place, SECOND, (*USERS, NEWCOMER), changed=USERS[0], opted_out=USERS[1])


def output_of(place: Path) -> Path:
    """Return the output folder of a world."""
    return place / "out"


def view_of(output: Path) -> str:
    """Return a digest of what our reader sees: all rows but what differs from run to run.

    Raises PersonalmError where there is something to see and it cannot be read.
    """
    try:
        tables = {table: read_table(output, table).to_pylist() for table in TABLES}
    except StoreError as error:
        if type(error) is StoreError and "nothing is published" in str(error):
            return "nothing"
        if "no output folder" in str(error):
            return "nothing"
        raise
    return _digest(tables)


def plain_view_of(output: Path) -> str:
    """Return a digest of what a reader of plain Parquet sees through `latest`."""
    latest = output / "latest"
    if not latest.is_symlink():
        return "nothing"
    found = latest.resolve()
    return _digest(
        {
            table: [
                row
                for file in sorted((found / table).glob("*.parquet"))
                for row in pq.ParquetFile(file).read(use_threads=False).to_pylist()
            ]
            for table in TABLES
        }
    )


def last_counts(output: Path) -> dict[str, int]:
    """Return the counts of the last run that got as far as its end."""
    counts: dict[str, int] = json.loads((output / "_last_run.json").read_bytes())["counts"]
    return counts


def _digest(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    keys: list[tuple[str, ...]] = []
    lines = []
    for table, rows in tables.items():
        for row in rows:
            kept = {name: value for name, value in row.items() if name not in _VOLATILE}
            lines.append(table + json.dumps(kept, sort_keys=True))
            if table != "candidates":
                keys.append((row["user_id"], row["kind"], row["subject_id"]))
    if len(set(keys)) != len(keys):
        raise PersonalmError(f"{len(keys) - len(set(keys))} keys are live twice")
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _write_night(
    place: Path, name: str, users: Sequence[str], *, changed: str | None, opted_out: str | None
) -> None:
    inputs = place / name.removesuffix(".toml")
    inputs.mkdir(parents=True)
    verbs = {user: "mended" if user == changed else "rode" for user in users}
    texts = [
        (user, f"I {verbs[user]} the old bike by the {_PLACES[user]}, day {n}")
        for user in users
        for n in range(3)
    ]
    times = [datetime(2025, 1, 1 + n % 3, tzinfo=UTC) for n in range(len(texts))]
    languages = ["en"] * len(users)
    profiles = {
        "user_id": users,
        "language": languages,
        "opt_out": [user == opted_out for user in users],
    }
    interactions = {
        "user_id": [user for user, _ in texts],
        "text": [text for _, text in texts],
        "created_at": times,
    }
    requests = {"user_id": users, "kind": ["post"] * len(users), "subject": ["bike"] * len(users)}
    tables = {"profiles": profiles, "interactions": interactions, "requests": requests}
    for table, columns in tables.items():
        pq.write_table(pa.table(columns), inputs / f"{table}.parquet")
    settings = _SETTINGS.format(output=output_of(place), inputs=inputs)
    (place / name).write_text(settings, encoding="utf-8")
