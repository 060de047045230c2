"""Laws of inputs on an object store: the same rows as from a disk, whole or with a clear word."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm import pipeline, read_results, remote
from personalm.errors import InputDamagedError, InputError, SettingsError
from personalm.inputs.files import find_sources
from personalm.inputs.lookup import find_user
from personalm.remote import RemotePath, connect, place_of
from personalm.settings import Inputs, load_settings
from tests.s3.server import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = Path(__file__).parents[2] / "sample_data"
KEY = ("user_id", "kind", "subject_id")
FILES = (
    "data/day=1/a.parquet",
    "data/day=1/_skipped.parquet",
    "data/day=2/name=caf%C3%A9 x/b.PARQUET",
    "data/day=2/notes.txt",
    "data/.hidden/c.parquet",
    "data/_old/d.parquet",
    "database.parquet",
    "plain",
)


def upload(path: Path, url: str) -> None:
    """Put a file on the store as others would have."""
    import obstore  # noqa: PLC0415 - an extra

    place = place_of(url)
    assert isinstance(place, RemotePath)
    obstore.put(connect(place), place.key, path.read_bytes())


@pytest.fixture
def tree(s3: str, tmp_path: Path) -> tuple[str, str]:
    """Return two places with the same files: a folder here, and one on the store."""
    for number, name in enumerate(FILES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"user_id": [f"u{number}"]}), path)
        upload(path, f"{s3}/{name}")
    return str(tmp_path), s3


@pytest.mark.parametrize(
    "names",
    [
        ("data",),
        ("data/",),
        ("plain",),
        ("data/day=2/notes.txt",),
        ("data/*",),
        ("data/day=*",),
        ("data/*/a.parquet",),
        ("data/**/*.parquet",),
        ("data/**",),
        ("*/day=[12]",),
        ("data*",),
        ("pl?in", "data/day=1"),
        ("data", "data/day=1/a.parquet"),
    ],
    ids=" ".join,
)
def test_the_same_files_are_found_as_on_a_disk(tree: tuple[str, str], names: Sequence[str]) -> None:
    """As a file, a folder, a glob or a list of them; with the columns that folders give."""
    here, there = (
        [
            (str(file.path).removeprefix(place), dict(file.folders), file.open().read().to_pylist())
            for file in find_sources([f"{place}/{name}" for name in names], table="t")
        ]
        for place in tree
    )

    assert there == here
    assert here


def test_a_run_over_remote_inputs_equals_one_over_local_ones(s3: str, tmp_path: Path) -> None:
    """A file, a folder, a glob and a list, all in one run; a look-up finds the same user."""
    rows = pq.read_table(SAMPLES / "interactions.parquet")
    half = rows.num_rows // 2
    for name, part in (("a", rows.slice(0, half)), ("b", rows.slice(half))):
        pq.write_table(part, tmp_path / f"{name}.parquet", row_group_size=100)
        upload(tmp_path / f"{name}.parquet", f"{s3}/chat/{name}.parquet")
    for name in ("profiles", "items", "requests"):
        upload(SAMPLES / f"{name}.parquet", f"{s3}/{name}/part.parquet")
    tables: dict[str, dict[str, Any]] = {
        "local": {n: str(SAMPLES / f"{n}.parquet") for n in ("profiles", "items", "requests")}
        | {"interactions": [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]},
        "remote": {
            "profiles": f"{s3}/profiles/part.parquet",
            "items": f"{s3}/items",
            "requests": f"{s3}/req*/*.parquet",
            "interactions": [f"{s3}/chat/a.parquet", f"{s3}/chat/b.parquet"],
        },
    }
    results = {}
    for name, inputs in tables.items():
        values: dict[str, object] = {
            "model": "scripted",
            "output": tmp_path / name,
            "inputs": inputs,
            "selection.embedder": "scripted",
            "generation.languages": ["en"],
        }
        settings = load_settings(None, **values)
        pipeline.run(settings, limit=5)
        table = read_results(tmp_path / name).drop_columns(["run_id", "generated_at"])
        results[name] = table.sort_by([(column, "ascending") for column in KEY])

    assert results["remote"] == results["local"]
    assert results["local"].num_rows > 0
    user = rows["user_id"][0].as_py()
    found = {name: find_user(Inputs(**inputs), user) for name, inputs in tables.items()}
    assert found["remote"] == found["local"] is not None


def test_a_file_that_changes_while_it_is_read_is_refused(s3: str, tmp_path: Path) -> None:
    """Not a mix of two versions: neither before the first row nor in the middle."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"user_id": ["a"] * 1000}), path, row_group_size=100)
    upload(path, f"{s3}/x.parquet")
    (source,) = find_sources([f"{s3}/x.parquet"], table="t")
    opened = source.open()
    pq.write_table(pa.table({"user_id": ["b"] * 1000}), path, row_group_size=100)
    upload(path, f"{s3}/x.parquet")

    with pytest.raises(InputDamagedError, match="changed while it was read"):
        opened.read()
    with pytest.raises(InputDamagedError, match="changed while it was read"):
        source.open()


def test_a_fault_of_the_network_is_no_damage(
    s3: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged files may be left out; what could not be reached stops the run, in plain words."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"user_id": ["a"]}), path)
    upload(path, f"{s3}/x.parquet")
    (source,) = find_sources([f"{s3}/x.parquet"], table="t")
    opened = source.open()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for read in (
        opened.read,
        source.open,
        lambda: find_sources([f"{s3}/x.parquet"], table="t", on_damage=lambda _: None),
    ):
        with pytest.raises(InputError, match="does not answer") as caught:
            read()
        assert not isinstance(caught.value, InputDamagedError)
        for secret in (ACCESS_KEY, SECRET_KEY, endpoint, "127.0.0.1"):
            assert secret not in str(caught.value)


def test_what_is_not_there_is_said(s3: str, tmp_path: Path) -> None:
    """Nothing below a name, no such bucket, no bucket at all, and a file that is cut short."""
    with pytest.raises(InputError, match="no Parquet files in s3://"):
        find_sources([f"{s3}/nothing"], table="t")
    with pytest.raises(InputError, match=r"the bucket of s3://.* does not exist"):
        find_sources([f"{s3}-gone/x"], table="t")
    with pytest.raises(SettingsError, match="name of a bucket") as caught:
        find_sources(["s3://id:secret@bucket/x"], table="t")
    assert "secret" not in str(caught.value)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"user_id": ["a"]}), path)
    path.write_bytes(path.read_bytes()[:-10])
    upload(path, f"{s3}/x.parquet")
    with pytest.raises(InputDamagedError, match=r"s3://.*x\.parquet.* no whole Parquet file"):
        find_sources([f"{s3}/x.parquet"], table="t")


@pytest.mark.parametrize("location", ["s3://bucket", "s3://bucket/x"])
def test_the_extra_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """Whoever uses s3:// without it reads what to install."""
    for module in ("obstore", "obstore.store", "obstore.exceptions"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(remote, "_connect", remote._connect.__wrapped__)

    with pytest.raises(SettingsError, match=r'pip install "personalm\[s3\]"'):
        find_sources([location], table="t")
