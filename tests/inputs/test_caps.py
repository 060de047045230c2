"""Laws of what is too much: kept up to the cap, trimmed or refused beyond it, and told."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm.errors import InputError
from personalm.inputs.ids import MAX_ID_BYTES
from personalm.inputs.lookup import find_user
from personalm.inputs.report import Effect
from personalm.inputs.spill import spill
from personalm.settings import Inputs

if TYPE_CHECKING:
    from pathlib import Path

Write = Callable[..., str]


@pytest.mark.parametrize("beyond", [0, 1])
def test_characters_of_a_text(beyond: int, write: Write, tmp_path: Path) -> None:
    """A character is a code point, whatever its bytes."""
    path = write("a.parquet", {"user_id": ["a"], "text": ["é" * (100 + beyond)]})
    inputs = Inputs(interactions=(path,), max_text_chars=100)
    with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
        (user,) = spilled.read(0)
    assert user.profile.texts == ("é" * 100,)
    assert spilled.report.count_of("interactions", "text", Effect.CHANGED) == beyond


@pytest.mark.parametrize("letter", ["a", "\U0001f600", "\u202e", "\u0301"])
def test_ten_megabytes_of_one_letter(letter: str, write: Write, tmp_path: Path) -> None:
    """Repeated letters, emoji, marks of direction: cut like any text, in no time."""
    text = letter * (10_000_000 // len(letter.encode()))
    path = write("a.parquet", {"user_id": ["a"], "text": [text]})
    start = time.monotonic()
    with spill(Inputs(interactions=(path,)), tmp_path / "s", num_buckets=1) as spilled:
        (user,) = spilled.read(0)
    assert user.profile.texts == (letter * 20_000,)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("beyond", [0, 1])
def test_interactions_of_a_user(beyond: int, write: Write, tmp_path: Path) -> None:
    """The newest are used, in a batch and in a look-up; another user's do not count."""
    num = 5 + beyond
    start = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {
        "user_id": ["a"] * num + ["b"],
        "text": [f"{n}" for n in range(num)] + ["other"],
        "created_at": [start + timedelta(days=n) for n in range(num)] + [None],
    }
    inputs = Inputs(interactions=(write("a.parquet", columns),), max_user_interactions=5)
    with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
        users = {user.profile.user_id: user for user in spilled.read(0)}
    assert users["a"].profile.texts == tuple(f"{n}" for n in range(beyond, num))
    assert users["b"].profile.texts == ("other",)
    assert find_user(inputs, "a") == users["a"]
    assert spilled.report.count_of("interactions", "user_id", Effect.DROPPED) == beyond


def test_a_hundred_thousand_interactions_of_one_user(write: Write, tmp_path: Path) -> None:
    """They are trimmed to the cap, and the others are served."""
    num = 100_000
    columns = {"user_id": ["a"] * num + ["b"], "text": [f"t{n}" for n in range(num)] + ["x"]}
    inputs = Inputs(interactions=(write("a.parquet", columns),))
    with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
        users = {user.profile.user_id: user for user in spilled.read(0)}
    assert len(users["a"].profile.interactions) == inputs.max_user_interactions
    assert users["b"].profile.texts == ("x",)


@pytest.mark.parametrize("beyond", [0, 1])
def test_bytes_of_an_id(beyond: int, write: Write, tmp_path: Path) -> None:
    """A text that long is no id: most likely the wrong column was mapped."""
    # A look-up of another id may leave the row group alone, and so hear nothing of it.
    user_id = "a" * (MAX_ID_BYTES + beyond)
    inputs = Inputs(interactions=(write("a.parquet", {"user_id": [user_id], "text": ["x"]}),))
    if beyond:
        with pytest.raises(InputError, match="an id has more than 1,024 bytes") as caught:
            spill(inputs, tmp_path / "s", num_buckets=1)
        assert caught.value.row == 0
        with pytest.raises(InputError, match="an id has more than 1,024 bytes"):
            find_user(inputs, user_id)
    else:
        assert find_user(inputs, user_id) is not None


@pytest.mark.parametrize("depth", [1, 2, 99, 200])
def test_nesting(depth: int, write: Write) -> None:
    """A list of texts is read, a list of lists is refused with a reason, and so is a deep one."""
    kind = pa.string()
    value: Any = "x"
    for _ in range(depth):
        kind, value = pa.list_(kind), [value]
    inputs = Inputs(
        profiles=(write("a.parquet", {"user_id": ["a"], "traits": pa.array([value], kind)}),)
    )
    if depth == 1:
        found = find_user(inputs, "a")
        assert found is not None
        assert found.profile.traits == ("x",)
    else:
        with pytest.raises(InputError, match=r"not text or lists of text|too deeply nested"):
            find_user(inputs, "a")


def _bomb(path: Path, *, length: int, num_rows: int) -> None:
    text = pa.array(["a" * length], pa.large_string())
    indices = pa.array([0] * num_rows, pa.int32())
    columns = {
        "user_id": pa.array([f"u{n % 7}" for n in range(num_rows)]),
        "text": pa.DictionaryArray.from_arrays(indices, text),
    }
    pq.write_table(pa.table(columns), path, store_schema=False)


_READ = """
import re, sys
from pathlib import Path
from personalm.errors import InputError
from personalm.inputs.spill import spill
from personalm.settings import Inputs

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
try:
    inputs = Inputs(interactions=(sys.argv[1],), max_row_group_bytes=int(sys.argv[2]))
    spill(inputs, Path(sys.argv[1] + ".spill"), num_buckets=1).close()
    print("read")
except InputError as error:
    print(error)
print((peak() - before) // 1024)
"""


_FRONT_CODED = {
    "use_dictionary": False,
    "column_encoding": {"text": "DELTA_BYTE_ARRAY", "user_id": "PLAIN"},
}


@pytest.mark.parametrize("options", [{}, _FRONT_CODED], ids=["dictionary", "front-coded"])
def test_a_tiny_file_of_a_huge_column_takes_bounded_memory(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """Some kilobytes stand for gigabytes of one text: refused at the cap, small until then."""
    path = tmp_path / "a.parquet"
    if options:
        text = pa.array(["a" * 200_000] * 2_000)
        ids = pa.array([f"u{n % 7}" for n in range(2_000)])
        table = pa.table({"user_id": ids, "text": text})
        pq.write_table(table, path, compression="zstd", **options)
    else:
        _bomb(path, length=1_000_000, num_rows=100_000)
    assert path.stat().st_size < 2_000_000
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path), str(150 << 20)],
        capture_output=True,
        text=True,
        check=True,
    )
    *message, grown = done.stdout.splitlines()
    assert "row group 0 decodes to more than 157,286,400 bytes" in message[0]
    assert "inputs.max_row_group_bytes" in message[1]
    assert int(grown) < 400, grown


@pytest.mark.parametrize("beyond", [False, True])
def test_bytes_of_a_row_group(beyond: bool, write: Write, tmp_path: Path) -> None:  # noqa: FBT001 - a case of pytest
    """What a large row group says it holds is judged before it is read."""
    texts = [f"{n:0100000}" for n in range(400)]
    columns = {"user_id": ["a"] * 400, "text": texts}
    path = write("a.parquet", columns, use_dictionary=False, compression="zstd")
    inputs = Inputs(interactions=(path,), max_row_group_bytes=(39 if beyond else 42) * 1_000_000)
    if beyond:
        with pytest.raises(InputError, match="row group 0 holds more than 39,000,000 bytes"):
            spill(inputs, tmp_path / "s", num_buckets=1)
    else:
        spill(inputs, tmp_path / "s", num_buckets=1).close()


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", None])
def test_a_large_row_group_is_read_in_every_encoding(
    encoding: str | None, write: Write, tmp_path: Path
) -> None:
    """The look ahead at what may grow refuses nothing that is as large as it looks."""
    texts = [f"{n:020000}" for n in range(1_000)]
    columns = {"user_id": ["a"] * 1_000, "text": texts, "kind": ["x", None] * 500}
    options = {"use_dictionary": False, "column_encoding": {"text": encoding}} if encoding else {}
    inputs = Inputs(interactions=(write("a.parquet", columns, compression="zstd", **options),))
    with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
        (user,) = spilled.read(0)
    assert sorted(user.profile.texts) == texts
