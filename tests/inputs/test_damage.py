"""Laws of damaged files: found before any row is used, named, and never a foreign exception."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm.errors import InputDamagedError, InputError
from personalm.inputs import files
from personalm.inputs.contract import INTERACTIONS, PROFILES
from personalm.inputs.files import find_sources
from personalm.inputs.items import load_items
from personalm.inputs.lookup import find_user
from personalm.inputs.report import Effect, Tally
from personalm.inputs.spill import spill
from personalm.inputs.tables import InputTable
from personalm.settings import Inputs

Write = Callable[..., str]

_ROW: dict[str, Any] = {"user_id": ["a"], "text": ["hello"]}


@pytest.fixture
def whole(write: Write) -> bytes:
    """Return the bytes of a whole file of some kilobyte, of several types."""
    columns = {
        "user_id": ["a", "b"],
        "text": ["x", "y"],
        "created_at": pa.array([1, 2], pa.timestamp("us")),
    }
    return Path(write("whole.parquet", columns, write_page_checksum=True)).read_bytes()


def test_every_truncation_is_damage(whole: bytes, tmp_path: Path) -> None:
    """However much of a file has been copied so far, it is not taken for a whole one."""
    path = tmp_path / "cut.parquet"
    assert len(whole) > 1_000
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputDamagedError) as caught:
            find_sources([str(path)], table="t")
        assert caught.value.file == str(path)


_FLIPS = """
import sys
from pathlib import Path
from personalm.errors import InputError
from personalm.inputs.contract import INTERACTIONS
from personalm.inputs.lookup import find_user
from personalm.inputs.report import Tally
from personalm.inputs.tables import InputTable
from personalm.settings import Inputs

path, masks = Path(sys.argv[1]), [int(mask) for mask in sys.argv[2].split(",") if mask]
data = path.read_bytes()
first = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
inputs = Inputs(interactions=(str(path),))
outcomes = {"rows": 0, "error": 0}
for index in range(first, len(data)):
    for mask in masks or (1 << index % 8,):
        path.write_bytes(data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :])
        print(index, mask, file=sys.stderr, flush=True)
        try:
            batches = list(InputTable(inputs, INTERACTIONS).batches(Tally("interactions")))
            rows = [row for batch in batches for row in batch.rows.to_pylist()]
            if [(row["user_id"], row["text"]) for row in rows] != [("a", "x"), ("b", "y")]:
                sys.exit(f"other rows at {index} with {mask}")
            outcomes["rows"] += 1
        except InputError:
            outcomes["error"] += 1
        mask = mask if masks else 1
        path.write_bytes(data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :])
        try:
            find_user(inputs, "a")
        except InputError:
            pass
print(*outcomes.values())
"""


def test_every_flipped_byte_of_a_footer_gives_the_exact_rows_or_our_error(
    whole: bytes, tmp_path: Path
) -> None:
    """In a batch and in a look-up alike; some footers end a process that asks pyarrow too much.

    A footer has no checksum: what it names an optional column can be flipped without a trace, so
    that the law is about the rows' required columns.
    FLIP_MASKS names all masks to try, as in "1,2,128"; without it each byte gets one.
    """
    path = tmp_path / "flipped.parquet"
    path.write_bytes(whole)
    done = subprocess.run(
        [sys.executable, "-c", _FLIPS, str(path), os.environ.get("FLIP_MASKS", "")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    num_rows, num_errors = map(int, done.stdout.split())
    assert num_rows > 100
    assert num_errors > 100


def test_row_groups_that_hold_less_than_the_file_are_damage(write: Write) -> None:
    """A file says twice how many rows it has: one flipped bit would empty a row group."""
    path = Path(write("a.parquet", {"user_id": ["a"] * 21}, row_group_size=20))
    data = bytearray(path.read_bytes())
    found = []
    for index in range(len(data) - 8 - int.from_bytes(data[-8:-4], "little"), len(data) - 8):
        if data[index] == 40:  # 20 rows, as the format writes whole numbers
            flipped = data[:index] + b"\x00" + data[index + 1 :]
            path.write_bytes(flipped)
            try:
                find_sources([str(path)], table="t")
            except InputDamagedError as error:
                found.append(error.message)
    assert "the file is no whole Parquet file: of 21 rows 1 are in its row groups" in found


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PAR1PAR1", b"\x00" * 2000, b"user_id,text\na,b\n" * 99, b'{"user_id": 1}\n'],
    ids=["empty", "magic", "twice", "zeros", "csv", "json"],
)
def test_foreign_files_are_damage(data: bytes, tmp_path: Path) -> None:
    """A name makes no Parquet; the message says what to do."""
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises(InputDamagedError, match="Write or copy it again") as caught:
        find_sources([str(tmp_path)], table="t")
    assert caught.value.file == str(path)


@pytest.mark.parametrize("kind", ["fifo", "loop", "dangling", "socket", "device"])
@pytest.mark.parametrize("named", ["itself", "folder"])
def test_what_is_no_file_is_damage_without_waiting(kind: str, named: str, tmp_path: Path) -> None:
    """Whether the settings name it or the folder it lies in."""
    path = tmp_path / "a.parquet"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140600)
    else:
        targets = {"loop": path, "dangling": tmp_path / "gone", "device": Path("/dev/null")}
        path.symlink_to(targets[kind])
    with pytest.raises(InputDamagedError):
        find_sources([str(path if named == "itself" else tmp_path)], table="t")


def test_a_folder_named_like_a_file_that_is_empty_is_nothing_found(tmp_path: Path) -> None:
    """The remedy names the setting."""
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(InputError, match=r"no Parquet files in .*a\.parquet"):
        find_sources([str(tmp_path / "a.parquet")], table="profiles")


def test_linked_folders_are_read_once_and_loops_end(write: Write, tmp_path: Path) -> None:
    """A folder behind a link holds data like any other; a link back up leads nowhere."""
    path = Path(write("far/lang=en/0.parquet", _ROW))
    near = tmp_path / "near"
    near.mkdir()
    (near / "far").symlink_to(path.parents[1])
    (near / "again").symlink_to(path.parents[1])
    (path.parent / "up").symlink_to(near)
    (source,) = find_sources([str(near)], table="t")
    assert source.path.samefile(path)
    assert source.folders == {"lang": "en"}


def test_a_folder_that_cannot_be_listed_is_told(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows would be missing without a word."""
    folder = Path(write("d/sub/a.parquet", _ROW)).parents[1]
    scandir = os.scandir

    def refuse(place: Any) -> Any:
        if str(place).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"sub cannot be read: Permission denied"):
        find_sources([str(folder)], table="t")


@pytest.mark.parametrize("folder", ["lang=%FF", os.fsdecode(b"lang=\xff"), "lang=en/lang=de"])
def test_a_folder_name_that_gives_no_one_text_is_refused(folder: str, tmp_path: Path) -> None:
    """Two such ids would become one."""
    (tmp_path / folder).mkdir(parents=True)
    pq.write_table(pa.table(_ROW), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / folder / "a.parquet")
    with pytest.raises(InputError, match="folder"):
        find_sources([str(tmp_path)], table="t")


@pytest.mark.parametrize("change", ["grown", "replaced", "gone", "other columns"])
def test_a_file_that_changes_after_it_was_found_is_refused(change: str, write: Write) -> None:
    """What was looked at is what is read, or nothing is."""
    path = Path(write("a.parquet", _ROW))
    table = InputTable(Inputs(interactions=(str(path),)), INTERACTIONS)
    if change == "grown":
        with path.open("ab") as file:
            file.write(b"more")
    elif change == "replaced":
        path.with_suffix(".new").write_bytes(path.read_bytes())
        path.with_suffix(".new").replace(path)
    elif change == "gone":
        path.unlink()
    else:
        write("a.parquet", {"user_id": ["b"], "item_id": ["x"]})
    with pytest.raises(InputDamagedError) as caught:
        list(table.batches(Tally("interactions")))
    assert caught.value.file == str(path)


def test_a_file_that_grows_while_it_is_read_is_refused(write: Write) -> None:
    """Rows of two states of a file are never mixed: the last look finds the change."""
    columns = {"user_id": ["a"] * 100, "text": ["x"] * 100}
    path = Path(write("a.parquet", columns, row_group_size=10))
    batches = InputTable(Inputs(interactions=(str(path),)), INTERACTIONS).batches(
        Tally("interactions")
    )
    next(batches)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputDamagedError, match="changed while it was read"):
        list(batches)


class TestSkip:
    """Laws of the lenient mode."""

    @pytest.fixture
    def torn(self, write: Write) -> tuple[str, str]:
        """Return a whole file, and one with a whole footer and a broken page behind the first."""
        columns = {"user_id": [f"u{n}" for n in range(400)], "text": [f"t{n}" for n in range(400)]}
        write("d/whole.parquet", _ROW)
        path = Path(write("d/torn.parquet", columns, row_group_size=100, write_page_checksum=True))
        data = bytearray(path.read_bytes())
        at = data.index(b"t399")
        data[at] ^= 1
        path.write_bytes(data)
        return str(path.parent), str(path)

    def test_damage_stops_by_default_and_leaves_nothing(
        self, torn: tuple[str, str], tmp_path: Path
    ) -> None:
        """Even in the last page of the last file, long after its footer was read."""
        with pytest.raises(InputDamagedError) as caught:
            spill(Inputs(interactions=(torn[0],)), tmp_path / "s", num_buckets=2)
        assert caught.value.file == torn[1]
        assert not (tmp_path / "s").exists()

    def test_a_skipped_file_gives_no_row_at_all_and_is_listed(
        self, torn: tuple[str, str], tmp_path: Path
    ) -> None:
        """Rows before the damage are left out with the others; batch and look-up agree."""
        folder, path = torn
        (Path(folder) / "cut.parquet").write_bytes(b"PAR1")
        inputs = Inputs(interactions=(folder,), damaged="skip")
        with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
            assert [user.profile.user_id for user in spilled.read(0)] == ["a"]
        assert find_user(inputs, "u0") is None
        assert find_user(inputs, "a") is not None
        skipped = {finding.file for finding in spilled.report.skipped}
        assert skipped == {path, str(Path(folder) / "cut.parquet")}
        assert all(finding.effect is Effect.SKIPPED for finding in spilled.report.skipped)
        assert len(spilled.report.skipped_lines()) == 2
        assert set(spilled.report.skipped_lines()) <= set(spilled.report.lines())

    def test_a_skipped_file_of_items_is_listed_with_the_run(
        self, write: Write, tmp_path: Path
    ) -> None:
        """Items are read later, and told with the others."""
        path = write("i/a.parquet", {"item_id": ["1"], "title": ["T"]})
        (Path(path).parent / "b.parquet").write_bytes(b"")
        inputs = Inputs(
            interactions=(write("t.parquet", _ROW),),
            items=(str(Path(path).parent),),
            damaged="skip",
        )
        with spill(inputs, tmp_path / "s", num_buckets=1) as spilled:
            (line,) = spilled.report.skipped_lines()
        assert line.startswith("items: skipped ")
        assert [item.item_id for item in load_items(inputs)[0]] == ["1"]

    def test_profiles_are_never_skipped(self, write: Write, tmp_path: Path) -> None:
        """Who has opted out may stand in the damaged file, and would be written for."""
        path = Path(write("p/a.parquet", {"user_id": ["a"], "opt_out": [True]}))
        path.write_bytes(path.read_bytes()[:-9])
        write("p/b.parquet", {"user_id": ["b"]})
        inputs = Inputs(
            profiles=(str(path.parent),),
            interactions=(write("i.parquet", _ROW),),
            damaged="skip",
        )
        with pytest.raises(InputDamagedError) as caught:
            spill(inputs, tmp_path / "s", num_buckets=1)
        assert caught.value.file == str(path)
        with pytest.raises(InputDamagedError):
            InputTable(inputs, PROFILES)

    def test_a_table_of_which_nothing_is_left_is_an_error(self, tmp_path: Path) -> None:
        """To skip is not to go on with nothing."""
        (tmp_path / "a.parquet").write_bytes(b"PAR1")
        inputs = Inputs(interactions=(str(tmp_path),), damaged="skip")
        with pytest.raises(InputError, match="every file is damaged"):
            InputTable(inputs, INTERACTIONS)

    def test_a_wrong_column_is_no_damage(self, write: Write) -> None:
        """A whole file that does not fit the contract is never skipped."""
        bad = write("a.parquet", {"user_id": [1.5], "text": ["x"]})
        inputs = Inputs(interactions=(bad, write("b.parquet", _ROW)), damaged="skip")
        with pytest.raises(InputError, match="ids are floats"):
            list(InputTable(inputs, INTERACTIONS).batches(Tally("interactions")))


def test_words_of_a_codec_are_not_repeated() -> None:
    """They would hold bytes of the file."""
    with pytest.raises(UnicodeDecodeError) as caught:
        b"secret\xff".decode()
    message = str(files.damaged(Path("a"), caught.value))
    assert "secret" not in message
    assert "0xff" not in message
