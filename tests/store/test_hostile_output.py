"""An output folder made by an enemy: nothing outside of it is read, written or removed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import StoreError
from personalm.store.export import export
from personalm.store.reading import read_table, status
from personalm.store.sealing import seal
from personalm.store.store import Store
from personalm.store.verify import verify
from tests.store.world import run, wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USERS = ("ada", "bo", "cy", "dee", "eve", "fox")


@pytest.fixture
def victim(output: Path) -> Path:
    """Make a folder full of things that would be missed, named as the store names its own."""
    victim = output.parent / "victim"
    for place in (
        "letter.txt",
        "00000001.json",
        "00000007.json",
        "0000-0123456789abcdef.parquet",
        ".tmp-0123",
        "photos/one.jpg",
        "20200101T000000Z-aabbccdd/run.json",
        "20200101T000000Z-aabbccdd/units/0000-u.parquet",
        "results/x.parquet",
        "spill/spill",
        "spill/manifest.json",
    ):
        (victim / place).parent.mkdir(parents=True, exist_ok=True)
        (victim / place).write_text("mine")
    return victim


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def use(output: Path) -> None:
    """Do all that one does with an output folder; each may refuse it in the store's words."""
    steps: tuple[Callable[[], object], ...] = (
        lambda: status(output),
        lambda: read_table(output),
        lambda: verify(output),
        lambda: run(output, wanted(*USERS, "new")),
        lambda: run(output, wanted(*USERS)),
        lambda: export(output, output.parent / "texts.csv", force=True),
        lambda: verify(output),
    )
    for step in steps:
        with suppress(StoreError):
            step()


def replace_by_link(path: Path, target: Path) -> None:
    """Put a link where the store has something."""
    if path.is_symlink() or path.exists():
        path.rename(path.with_name(f"moved-{path.name}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


FOLDERS = (
    "_data",
    "_data/results",
    "_data/candidates",
    "_snapshots",
    "_views",
    "_views/00000001",
    "_views/00000001/results",
    "_views/00000002",
    "_runs",
    "_runs/20200101T000000Z-aabbccdd",
    "latest",
)


@pytest.mark.parametrize("place", FOLDERS)
def test_a_link_to_a_folder_leads_nowhere(output: Path, victim: Path, place: str) -> None:
    """Nothing in it is removed or written, whatever folder of the store it stands for."""
    run(output, wanted(*USERS))
    replace_by_link(output / place, victim)
    before = tree(victim)

    use(output)

    assert tree(victim) == before


@pytest.mark.parametrize("part", ["units", "spill", "run.json", "spec.json"])
def test_a_link_in_the_folder_of_a_run_leads_nowhere(output: Path, victim: Path, part: str) -> None:
    """An unfinished run is taken up or deleted, and what its links lead to stays."""
    run(output, wanted(*USERS))
    folder = output / "_runs" / "20990101T000000Z-aabbccdd"
    folder.mkdir(parents=True)
    identity = {"format": 1, "run_id": folder.name, "fingerprint": "f"}
    (folder / "run.json").write_text(json.dumps(identity))
    replace_by_link(folder / part, victim / "letter.txt" if "." in part else victim)
    before = tree(victim)

    use(output)
    store = Store.open(output, buckets=2)
    with store.lock(), suppress(StoreError):
        store.start_run("f")

    assert tree(victim) == before


FILES = ("_lock", "_personalm.json", "_last_run.json", "_snapshots/00000001.json", "latest")


@pytest.mark.parametrize("place", FILES)
@pytest.mark.parametrize("target", ["letter.txt", "absent", "/dev/zero", "/dev/full", "."])
@pytest.mark.timeout(30)
def test_a_link_to_a_file_is_not_written_through(
    output: Path, victim: Path, place: str, target: str
) -> None:
    """Neither changed nor made; a device is not read to its end."""
    run(output, wanted(*USERS))
    replace_by_link(output / place, victim / target)
    before = tree(victim)

    use(output)

    assert tree(victim) == before


def test_a_second_name_of_a_file_is_no_lock(output: Path, victim: Path) -> None:
    """The lock is written to, so it must be a file of its own."""
    run(output, wanted(*USERS))
    (output / "_lock").unlink()
    os.link(victim / "letter.txt", output / "_lock")

    with pytest.raises(StoreError, match="no file of its own"):
        run(output, wanted(*USERS))
    assert (victim / "letter.txt").read_text() == "mine"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("place", [*FILES, "_data/results/0000-0123456789abcdef.parquet"])
def test_nobody_waits_for_a_pipe(output: Path, place: str) -> None:
    """A pipe in place of a file is refused at once."""
    run(output, wanted(*USERS))
    path = output / place
    if path.is_symlink() or path.exists():
        path.unlink()
    os.mkfifo(path)

    use(output)


PATHS = (
    "../victim/letter.txt",
    "_data/results/../../../victim/letter.txt",
    "/etc/passwd",
    "_lock",
    "_personalm.json",
    "_snapshots/00000001.json",
    "_data/candidates/x.parquet",
    "_data/results/.tmp-1.parquet",
    "_data/results/",
    "",
    ".",
    "..",
    "a\x00b",
    "_data/results/\x1b[31m.parquet",
    7,
    None,
    ["x"],
)


def edit_record(output: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the newest record."""
    path = max((output / "_snapshots").glob("*.json"))
    record = json.loads(path.read_text())
    change(record)
    path.chmod(0o600)
    path.unlink()
    path.write_bytes(seal(record))


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_a_record_names_files_of_the_store_only(output: Path, victim: Path, path: object) -> None:
    """Another path is refused; what lies there is neither read nor removed."""
    run(output, wanted(*USERS))
    edit_record(output, lambda record: record["files"][-1].update(path=path))
    before = tree(victim)

    with pytest.raises(StoreError, match=r"no whole snapshot record|not a plain one"):
        [read_table(output, table) for table in ("results", "candidates", "rejections")]
    use(output)
    assert tree(victim) == before


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another-number": lambda r: r.update(number=10**30),
    "number-as-text": lambda r: r.update(number="1"),
    "number-as-path": lambda r: r.update(number="../../victim"),
    "no-number": lambda r: r.pop("number"),
    "table": lambda r: r["files"][0].update(table="../victim"),
    "bucket-as-text": lambda r: r["files"][0].update(bucket="x"),
    "negative-rows": lambda r: r["files"][0].update(rows=-1),
    "rows-as-text": lambda r: r["files"][0].update(rows="9"),
    "flag": lambda r: r["files"][0].update(rows=True),
    "checksum": lambda r: r["files"][0].update(sha256=None),
    "files-as-mapping": lambda r: r.update(files={"a": 1}),
    "no-files": lambda r: r.update(files=None),
    "time": lambda r: r.update(created_at="yesterday"),
    "counts": lambda r: r.update(counts={"evil": 1}),
    "newer": lambda r: r.update(format=10**9),
    "list": lambda r: r.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_forged_record_is_refused_in_words(output: Path, change: str) -> None:
    """By readers and by the next run, without a traceback."""
    run(output, wanted(*USERS))
    edit_record(output, CHANGES[change])

    with pytest.raises(StoreError):
        read_table(output)
    use(output)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name",
    [
        "1.json",
        "000000001.json",
        "99999999.json.json",
        "１２３４５６７８.json",
        "9" * 200 + ".json",
        "-0000001.json",
        "0000000x.json",
        " 0000001.json",
        "\x1b[31m.json",
    ],
)
def test_another_file_beside_the_records_is_no_record(output: Path, name: str) -> None:
    """Whatever digits it is named by, the table is what it was."""
    run(output, wanted(*USERS))
    before = read_table(output)
    (output / "_snapshots" / name).write_text("{}")

    assert read_table(output).equals(before)
    use(output)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("content", ["[" * 100_000, '{"counts": {"a": "b"}}', "7", "\x00", "{}"])
@pytest.mark.parametrize(
    "place", ["_personalm.json", "_last_run.json", "_snapshots/00000009.json", "_runs/x/run.json"]
)
def test_json_of_any_shape_is_refused_in_words(output: Path, place: str, content: str) -> None:
    """Deep nesting included."""
    run(output, wanted(*USERS))
    (output / place).parent.mkdir(exist_ok=True)
    (output / place).unlink(missing_ok=True)
    (output / place).write_text(content)

    use(output)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("buckets", [0, -1, 10**12, 1e308, "x", None, [1]])
def test_no_folder_has_more_buckets_than_a_run_can_make(output: Path, buckets: object) -> None:
    """A run walks through them: a forged number must not keep it busy for ever."""
    run(output, wanted(*USERS))
    identity = json.loads((output / "_personalm.json").read_text()) | {"buckets": buckets}
    (output / "_personalm.json").unlink()
    (output / "_personalm.json").write_bytes(seal(identity))

    with pytest.raises(StoreError, match=r"_personalm\.json"):
        Store.open(output, buckets=2)
