"""Local files: whole or absent, never overwritten unless asked."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import StoreError, StoreLockedError
from personalm.store.files import LocalFiles
from tests.store.faults import FaultyFiles, LinklessFiles, bad_disk, no_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def never() -> None:
    """Stand for a fault that is not reached."""


@pytest.fixture(params=["links", "no links"])
def files(request: pytest.FixtureRequest) -> LocalFiles:
    """Return local files on a file system with and without hard links."""
    return LocalFiles() if request.param == "links" else LinklessFiles(10**6, never)


def test_create_refuses_to_overwrite(tmp_path: Path, files: LocalFiles) -> None:
    """The first writer of a name wins; the second is told and leaves nothing behind."""
    path = tmp_path / "a"
    files.create(path, b"first")
    with pytest.raises(FileExistsError):
        files.create(path, b"second")

    assert files.read(path) == b"first"
    assert files.names(tmp_path) == ("a",)


def test_replace_overwrites(tmp_path: Path, files: LocalFiles) -> None:
    """The newer bytes are there, and no other file."""
    files.replace(tmp_path / "a", b"first")
    files.replace(tmp_path / "a", b"second")

    assert files.read(tmp_path / "a") == b"second"
    assert files.names(tmp_path) == ("a",)


def test_a_shared_file_outlives_its_first_name_or_leads_to_it(
    tmp_path: Path, files: LocalFiles
) -> None:
    """A second name is a hard link, a symbolic one where there are none."""
    files.create(tmp_path / "a", b"x")
    files.make_folder(tmp_path / "f")
    files.share(tmp_path / "a", tmp_path / "f" / "b")

    assert files.read(tmp_path / "f" / "b") == b"x"
    assert (tmp_path / "f" / "b").is_symlink() == isinstance(files, LinklessFiles)
    with pytest.raises(FileExistsError):
        files.share(tmp_path / "a", tmp_path / "f" / "b")


def test_a_link_points_elsewhere_at_once(tmp_path: Path) -> None:
    """Pointing again replaces the link, and says nothing where a folder is in the way."""
    files = LocalFiles()
    files.point(tmp_path / "latest", "a")
    files.point(tmp_path / "latest", "b")

    assert files.target_of(tmp_path / "latest") == "b"
    assert files.target_of(tmp_path) is None
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="folder cannot be written"):
        files.point(tmp_path / "folder", "b")
    assert files.names(tmp_path) == ("folder", "latest")


@pytest.mark.parametrize("step", [1, 2])
def test_a_failed_write_leaves_no_file(tmp_path: Path, step: int) -> None:
    """Neither the file nor an unfinished one, whichever step fails."""
    with pytest.raises(StoreError, match=r"a cannot be written: Input/output error"):
        FaultyFiles(step, bad_disk).create(tmp_path / "a", b"x")
    with pytest.raises(StoreError, match=r"no room for .*a: [\d,.]+ MB are free"):
        FaultyFiles(step, no_room).replace(tmp_path / "a", b"x")

    assert list(tmp_path.iterdir()) == []


def test_a_really_full_device_is_reported(tmp_path: Path) -> None:
    """The system's own word for a full disk is understood."""
    files = LocalFiles()

    def write(path: Path, data: bytes) -> None:
        path.symlink_to("/dev/full")
        with path.open("wb", buffering=0) as file:
            file.write(data)

    class Full(LocalFiles):
        def call(self, function: object, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # one function is swapped for another
            name = getattr(function, "__name__", "")
            chosen = write if name == "_write" else function
            return super().call(chosen, *args, **kwargs)  # type: ignore[arg-type]  # the same

    with pytest.raises(StoreError, match="no room"):
        Full().create(tmp_path / "a", b"x")
    assert files.names(tmp_path) == ()


def test_private_folders_are_the_owners(tmp_path: Path) -> None:
    """Nobody else can look into a folder that holds personal data on its way."""
    LocalFiles().make_folder(tmp_path / "a" / "b", private=True)

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    LocalFiles().make_folder(tmp_path / "a" / "b")


def test_a_file_where_a_folder_should_be_is_reported(tmp_path: Path) -> None:
    """The message names the path."""
    (tmp_path / "a").write_text("x")
    with pytest.raises(StoreError, match="a cannot be written: File exists"):
        LocalFiles().make_folder(tmp_path / "a")


def test_what_is_gone_is_gone(tmp_path: Path) -> None:
    """Removing twice is fine; a folder that does not exist has no names."""
    files = LocalFiles()
    files.remove(tmp_path / "a")
    files.remove_tree(tmp_path / "b")

    assert files.names(tmp_path / "b") == ()
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "a")


def test_a_lock_is_refused_at_once_and_tells_who_holds_it(tmp_path: Path) -> None:
    """Within a process and between two; afterwards it can be taken again."""
    files = LocalFiles()
    for _ in range(2):
        with files.lock(tmp_path / "_lock", "process 12"):
            with pytest.raises(StoreLockedError, match="held by another run: process 12"):
                files.lock(tmp_path / "_lock", "process 13").__enter__()
            assert (tmp_path / "_lock").read_text() == "process 12"


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    """A killed holder leaves the file and no lock."""
    holder = (
        "import os, sys, pathlib; from personalm.store.files import LocalFiles\n"
        "with LocalFiles().lock(pathlib.Path(sys.argv[1]), 'holder'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "_lock"
    child = subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(StoreLockedError, match="holder"):
            LocalFiles().lock(path, "me").__enter__()
        child.kill()
        child.wait()
    with LocalFiles().lock(path, "me"):
        assert path.read_text() == "me"


def test_a_child_that_lives_on_holds_no_lock(tmp_path: Path) -> None:
    """A process that was forked under the lock does not keep it when its parent lets go."""
    path = tmp_path / "_lock"
    with LocalFiles().lock(path, "parent"):
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
    try:
        with LocalFiles().lock(path, "next"):
            assert path.read_text() == "next"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_other_errors_of_a_hard_link_are_no_reason_for_a_weaker_one(tmp_path: Path) -> None:
    """Only a file system that has no links gets the fallback."""

    class Broken(LocalFiles):
        def call(self, function: object, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # every link fails
            if function is os.link:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().call(function, *args, **kwargs)  # type: ignore[arg-type]  # the same

    with pytest.raises(StoreError, match="Input/output error"):
        Broken().create(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_finds_out_whether_there_are_hard_links(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there are none it says what that means, and the name itself refuses a second writer."""
    files = LinklessFiles(10**6, never)
    with files.lock(tmp_path / "_lock", "me"):
        files.create(tmp_path / "a", b"x")
        with pytest.raises(FileExistsError):
            files.create(tmp_path / "a", b"y")

    assert "no hard links here; only the lock keeps two runs apart" in caplog.text
    assert files.names(tmp_path) == ("_lock", "a")
    caplog.clear()
    with LocalFiles().lock(tmp_path / "_lock", "me"):
        assert caplog.text == ""


def test_a_name_that_another_took_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Without hard links, a claim that was taken away is given up."""

    class Robbed(LinklessFiles):
        def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            done = super().call(function, *args, **kwargs)
            if function.__name__ == "_claim" and args[0].name == "a":
                args[0].unlink()
                (tmp_path / "a").write_bytes(b"another")
                (tmp_path / "b").touch()
            return done

    with pytest.raises(FileExistsError):
        Robbed(10**6, never).create(tmp_path / "a", b"mine")
    assert (tmp_path / "a").read_bytes() == b"another"


def test_a_large_file_is_written_in_pieces(tmp_path: Path) -> None:
    """And is whole or absent as any other: a piece that cannot be made leaves nothing."""
    files = LocalFiles()
    files.create(tmp_path / "a", (b"%d," % n for n in range(3)))

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise StoreError("no more")

    with pytest.raises(StoreError, match="no more"):
        files.replace(tmp_path / "a", broken())
    assert files.read(tmp_path / "a") == b"0,1,2,"
    assert files.names(tmp_path) == ("a",)
