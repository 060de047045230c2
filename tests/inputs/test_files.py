"""Laws of finding and opening files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from personalm.errors import InputError
from personalm.inputs.contract import INTERACTIONS
from personalm.inputs.files import find_sources
from personalm.inputs.report import Tally
from personalm.inputs.spill import spill
from personalm.inputs.tables import InputTable
from personalm.remote import OUTPUT_MARK
from personalm.settings import Inputs
from personalm.store.evaluations import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personalm.records import UserInputs

    Write = Callable[..., str]
    SpillAll = Callable[[Inputs], dict[str, UserInputs]]

_ROW: dict[str, Any] = {"user_id": ["a"], "text": ["hello"]}


def find_files(locations: Sequence[str], *, table: str) -> tuple[Path, ...]:
    """Return the paths of a table's files."""
    return tuple(file.path for file in find_sources(locations, table=table))


def test_files_folders_and_globs_name_each_file_once_in_order(write: Write) -> None:
    """The same file may be named three times; the order does not depend on how."""
    b, a = write("d/b.parquet", _ROW), write("d/x/a.parquet", _ROW)
    folder = str(Path(b).parent)
    expected = (Path(b), Path(a))
    assert find_files([folder], table="t") == expected
    assert find_files([a, b, f"{folder}/*.parquet", folder], table="t") == expected
    assert find_files([f"{folder}/**/*.parquet"], table="t") == expected
    Path(folder, "z.parquet").symlink_to(a)
    assert len(find_files([folder], table="t")) == 2


def test_hidden_and_marked_names_are_skipped_at_any_depth(write: Write) -> None:
    """What jobs leave beside their data is not data; nor are the texts of an evaluation."""
    path = write("d/a.parquet", _ROW)
    for name in ("_tmp.parquet", ".b.parquet", "_temporary/0.parquet", ".git/0.parquet"):
        write(f"d/{name}", _ROW)
    write(f"d/evaluation/{OUTPUTS}/0.parquet", _ROW)
    folder = Path(path).parent
    (folder / "_SUCCESS").touch()
    assert find_files([str(folder)], table="t") == (Path(path),)


@pytest.mark.parametrize("make", [Path.resolve, Path.mkdir], ids=["missing", "empty"])
def test_nothing_found_is_an_error_with_a_remedy(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    """A place without files is a mistake in the settings, not an empty table."""
    place = tmp_path / "place"
    make(place)
    with pytest.raises(InputError, match=r"no Parquet files in .*place") as caught:
        find_files([str(place)], table="profiles")
    assert "inputs.profiles" in str(caught.value)


def test_a_folder_with_only_a_marker_is_nothing_found(tmp_path: Path) -> None:
    """A job that wrote its success and no data wrote nothing."""
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(InputError, match="no Parquet files"):
        find_files([str(tmp_path)], table="profiles")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"user_id,text\na,b\n" * 9], ids=["0", "4", "csv"])
def test_a_foreign_file_is_named(data: bytes, tmp_path: Path) -> None:
    """An empty file, a few bytes, and another format are told before any work."""
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        find_files([str(path)], table="profiles")
    assert caught.value.file == str(path)


def test_every_truncation_of_a_file_is_refused(write: Write, tmp_path: Path) -> None:
    """A file that was cut anywhere is never taken for a whole one."""
    data = Path(write("a.parquet", _ROW)).read_bytes()
    path = tmp_path / "cut.parquet"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError):
            find_files([str(path)], table="t")


def test_a_flipped_byte_gives_the_exact_rows_or_our_own_error(write: Write, tmp_path: Path) -> None:
    """Damage in any byte ends in an error of ours or in the rows, never in other rows."""
    data = Path(write("a.parquet", _ROW, write_page_checksum=True)).read_bytes()
    path = tmp_path / "flipped.parquet"
    inputs = Inputs(interactions=(str(path),))
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 0x01]) + data[index + 1 :])
        try:
            batches = list(InputTable(inputs, INTERACTIONS).batches(Tally("interactions")))
        except InputError:
            continue
        rows = [row for batch in batches for row in batch.rows.to_pylist()]
        assert [(row["user_id"], row["text"]) for row in rows] == [("a", "hello")], index


@pytest.mark.parametrize("kind", ["fifo", "loop"])
def test_what_is_no_file_is_refused_without_waiting(kind: str, tmp_path: Path) -> None:
    """A pipe would be waited for, a loop of links followed for ever."""
    path = tmp_path / "a.parquet"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    with pytest.raises(InputError):
        find_files([str(tmp_path)], table="t")


def test_a_folder_named_like_a_file_is_a_folder(write: Write) -> None:
    """Some writers lay a table out as a folder with the suffix of a file."""
    path = write("table.parquet/part-0.parquet", _ROW)
    assert find_files([str(Path(path).parent)], table="t") == (Path(path),)


def test_a_remote_place_is_refused_by_name() -> None:
    """What cannot be read is said, not taken for a folder of that name."""
    with pytest.raises(InputError, match="gs://bucket/x is not a local path"):
        find_files(["gs://bucket/x"], table="t")


def test_folder_names_give_columns_as_text_below_the_location_only(write: Write) -> None:
    """Values of folders are text, quoted or missing; folders above the location say nothing."""
    path = write("day=1/d/lang=en/job=007/u=a%2Fb/n=__HIVE_DEFAULT_PARTITION__/0.parquet", _ROW)
    root = str(Path(path).parents[4])
    (source,) = find_sources([root], table="t")
    assert source.folders == {"lang": "en", "job": "007", "u": "a/b", "n": None}


def test_inputs_are_never_changed(write: Write, tmp_path: Path) -> None:
    """Reading leaves a file as it was, and makes nothing beside it."""
    path = Path(write("a.parquet", _ROW))
    path.chmod(0o400)
    before = (path.read_bytes(), path.stat().st_mtime_ns, list(path.parent.iterdir()))
    with spill(Inputs(interactions=(str(path),)), tmp_path / "spill", num_buckets=1) as spilled:
        list(spilled.read(0))
    assert (path.read_bytes(), path.stat().st_mtime_ns, list(path.parent.iterdir())) == before
    assert pq.read_table(path).num_rows == 1


@pytest.mark.parametrize(
    "place", ["x", "x/*", "x/*/*.parquet", "x/**/*.parquet", "x/opt_out=1", "x/opt_out=1/p.parquet"]
)
def test_a_folder_gives_its_column_however_its_files_are_named(
    place: str, write: Write, spill_all: SpillAll, tmp_path: Path
) -> None:
    """Whoever opted out by the name of a folder has opted out, by a glob and by a file, too."""
    write("x/opt_out=1/p.parquet", {"user_id": ["a"]})

    users = spill_all(Inputs(profiles=(str(tmp_path / "in" / place),)))

    assert users["a"].profile.opt_out


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [("rating=4.5", "rating", 4.5), ("kind=chat", "kind", "chat"), ("item_id=7", "item_id", "7")],
)
def test_the_name_of_a_folder_is_read_as_its_column_wants_it(
    folder: str, name: str, expected: object, write: Write, spill_all: SpillAll
) -> None:
    """It can hold nothing but text: numbers and flags are read from it."""
    path = write(f"x/{folder}/p.parquet", _ROW)

    users = spill_all(Inputs(interactions=(path,)))

    assert getattr(users["a"].profile.interactions[0], name) == expected


@pytest.mark.parametrize("folder", ["rating=good", "rating=1_0", "rating=nan", "rating="])
def test_a_folder_that_gives_no_number_is_named(folder: str, write: Write) -> None:
    """Neither is it missing, nor does pyarrow say it in its own words."""
    path = write(f"x/{folder}/p.parquet", _ROW)

    with pytest.raises(InputError, match="not as a number") as caught:
        find_all(path)
    assert caught.value.column == "rating"


def find_all(path: str) -> None:
    """Open the table of interactions."""
    InputTable(Inputs(interactions=(path,)), INTERACTIONS)


def test_a_folder_that_the_location_names_gives_no_facts(write: Write, spill_all: SpillAll) -> None:
    """The day in a path would change every profile every day; and the file's own column wins."""
    rows = {"user_id": ["a"], "language": ["nl"]}
    path = write("x/day=1/language=de/p.parquet", rows)

    profile = spill_all(Inputs(profiles=(path,)))["a"].profile

    assert (profile.language, dict(profile.facts)) == ("nl", {})


@pytest.mark.parametrize("place", ["", "*", "**/*.parquet", "*/*/*.parquet"])
def test_what_was_written_as_results_is_no_input(place: str, write: Write, tmp_path: Path) -> None:
    """An output folder below the inputs would be read as everybody's newest profile."""
    path = write("a.parquet", _ROW)
    for name in ("out/latest/results/0.parquet", "out/_data/results/1.parquet"):
        write(name, _ROW)
    (tmp_path / "in" / "out" / OUTPUT_MARK).touch()
    (tmp_path / "in" / "b").mkdir()
    other = write("b/c/d.parquet", _ROW)

    found = find_files([str(tmp_path / "in" / place)], table="t")

    assert set(found) <= {Path(path), Path(other)}
    assert found


def test_results_can_be_named_as_inputs(write: Write, tmp_path: Path) -> None:
    """Whoever names them by their own folder wants them."""
    path = write("out/latest/results/0.parquet", _ROW)
    (tmp_path / "in" / "out" / OUTPUT_MARK).touch()

    for place in (Path(path).parent, Path(path), f"{Path(path).parent}/*.parquet"):
        assert find_files([str(place)], table="t") == (Path(path),)
