"""A world for long trials of the real command: two nights of inputs, and the settings of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.store.reading import read_table
from personalm.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]

NIGHTS = ("first", "second")

_SETTINGS = """
model = "{model}"
output = "{output}"
templates_dir = "{place}/templates"

[inputs]
profiles = "{inputs}/profiles.parquet"
interactions = "{inputs}/interactions.parquet"
requests = "{inputs}/requests.parquet"

[generation]
languages = ["en"]
candidates = {num_candidates}
unit_tokens = 600
dtype = "float32"
threads = 1

[selection]
embedder = "scripted"
min_impostors = 3

[store]
buckets = 12
keep = 3
"""


# A tiny model writes nonsense: what is tried here is where it ends up, not what it says.
_TEMPLATE = """+++
subject = "topic"
max_new_tokens = 64
gates = ["empty", "leak"]
min_words = 1
+++
{% for text in samples %}{{ text | one_line }}
{% endfor %}{{ subject }}:"""


def make_nights(place: Path, model: str, *, num_users: int, num_candidates: int) -> None:
    """Write the inputs of two nights: in the second, every other user has another text."""
    (place / "templates").mkdir()
    (place / "templates" / "post.j2").write_text(_TEMPLATE, encoding="utf-8")
    for night in NIGHTS:
        inputs = place / night
        inputs.mkdir(parents=True)
        users = [f"user-{n}" for n in range(num_users)]
        texts = [(user, day) for user in users for day in range(4)]
        tables: dict[str, dict[str, Sequence[Any]]] = {
            "profiles": {"user_id": users, "language": ["en"] * num_users},
            "interactions": {
                "user_id": [user for user, _ in texts],
                "text": [_text(user, day, night) for user, day in texts],
                "created_at": [datetime(2025, 1, 1 + day, tzinfo=UTC) for _, day in texts],
            },
            "requests": {
                "user_id": users * 2,
                "kind": ["post"] * 2 * num_users,
                "subject": ["the harbour"] * num_users + ["a bike"] * num_users,
            },
        }
        for table, columns in tables.items():
            pq.write_table(pa.table(columns), inputs / f"{table}.parquet")
        settings = _SETTINGS.format(
            model=model,
            num_candidates=num_candidates,
            output=place / "out",
            place=place,
            inputs=inputs,
        )
        (place / f"{night}.toml").write_text(settings, encoding="utf-8")


def command(place: Path, night: str, output: Path | None = None) -> list[str]:
    """Return the real command line of a night."""
    arguments = [sys.executable, "-m", "personalm", "run", "-c", str(place / f"{night}.toml")]
    return [*arguments, "-o", str(output)] if output else arguments


def serve(place: Path, night: str, output: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a night to its end."""
    return subprocess.run(
        command(place, night, output),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def environment() -> dict[str, str]:
    """Return the environment of a command: one thread, so that two commands do not wait."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def digest_of(output: Path) -> str:
    """Return a digest of all live rows without what differs from run to run."""
    lines = [
        table + json.dumps(row, sort_keys=True)
        for table in TABLES
        for row in read_table(output, table)
        .drop_columns([n for n in ("run_id", "generated_at") if n in TABLES[table].names])
        .to_pylist()
    ]
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _text(user: str, day: int, night: str) -> str:
    changed = night == NIGHTS[1] and int(user.rpartition("-")[2]) % 2
    return f"{'Mended' if changed else 'Rode'} the old bike by the harbour on day {day}, {user}."
