"""A disk that is full at every size: a run fails in words, and ends right once there is room.

On a small file system in memory of its own where the system allows it; else on a stand-in that
refuses every write once so many bytes were written.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personalm.store.files import LocalFiles
from tests.faults.child import run_command
from tests.faults.laws import check_end, check_readers
from tests.faults.operations import OPERATIONS, copy_world
from tests.faults.world import output_of, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.child import Ending

PAGE = 4096

_ROOM = 32 << 20
"""Bytes that are enough for everything."""

_RUN = next(operation for operation in OPERATIONS if operation.name == "run")


def fill_disks(place: Path, *, num_steps: int) -> tuple[str, list[str]]:
    """Run on disks of growing size, so many of them; tell what came of it."""
    if _may_mount():
        inner = subprocess.run(
            [
                "unshare",
                "-rm",
                sys.executable,
                "-m",
                "tests.soak.full_disk",
                str(place),
                str(num_steps),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = inner.stdout.splitlines()
        if inner.returncode not in {0, 1} or not lines:
            return "full disk: failed", [inner.stderr[-2000:]]
        return lines[-1], lines[:-1]
    return _fill(place, num_steps, is_mounted=False)


def _fill(place: Path, num_steps: int, *, is_mounted: bool) -> tuple[str, list[str]]:
    base = place / "base"
    _RUN.prepare(base)
    old = view_of(output_of(base))
    copy_world(base, place / "right")
    run_command(_RUN.command(place / "right"))
    new = view_of(output_of(place / "right"))
    violations: list[str] = []
    num_full = num_sizes = 0
    for room in _rooms(num_steps):
        num_sizes += 1
        world = place / "disk"
        world.mkdir(exist_ok=True)
        if is_mounted:
            _mount(world, _ROOM)
        try:
            shutil.copytree(base, world, symlinks=True, dirs_exist_ok=True)
            _point(world, base)
            if is_mounted:
                _mount(world, _used(world) + room, remount=True)
            ending = run_command(_RUN.command(world), before=None if is_mounted else _ration(room))
            num_full += not ending.is_served
            found = [*_check_full(world, ending, {old, new})]
            if is_mounted:
                _mount(world, _ROOM, remount=True)
            found += check_end(world, run_command(_RUN.command(world)), new={new})
            # A line each: this is how the outer process counts them.
            lines = (" ".join(violation.split()) for violation in found)
            violations += [f"{room // 1024} KiB of room: {line}" for line in lines]
        finally:
            if is_mounted:
                subprocess.run(["umount", str(world)], check=True)
            else:
                shutil.rmtree(world)
    kind = "a tmpfs" if is_mounted else "a stand-in"
    line = f"full disk: {num_sizes} sizes of {kind}, {num_full} were full"
    return f"{line}, {len(violations)} violations", violations


def _check_full(world: Path, ending: Ending, views: set[str]) -> Iterator[str]:
    yield from check_readers(output_of(world), views)
    if ending.is_served:
        return
    if ending.code != 1 or "Traceback" in ending.errors:
        yield f"exit code {ending.code}: {ending.errors[-600:]}"
    if "no room for" not in ending.errors or "MB are free" not in ending.errors:
        yield f"the full disk is not named: {ending.errors[-600:]}"


def _rooms(num_steps: int) -> Iterator[int]:
    """Yield sizes from no room at all to enough, in bytes."""
    enough = 64 * PAGE
    step = max(PAGE, enough // num_steps // PAGE * PAGE)
    yield from range(0, enough + 1, step)


def _used(folder: Path) -> int:
    """Return the bytes that are taken on the file system of a folder."""
    state = os.statvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _point(world: Path, base: Path) -> None:
    for path in world.glob("*.toml"):
        path.write_text(path.read_text().replace(str(base), str(world)))


def _ration(room: int) -> Callable[[], None]:
    """Let every write fail once so many bytes were written."""

    def ration() -> None:
        call: Callable[..., Any] = LocalFiles.call
        left = room

        def rationed(self: LocalFiles, function: Callable[..., Any], *args: Any) -> Any:
            nonlocal left
            if function.__name__ in {"_write", "mkdir", "_claim", "pwrite", "symlink", "link"}:
                data = args[1] if function.__name__ == "_write" else b""
                left -= max(PAGE, len(data))
                if left < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(self, function, *args)

        setattr(LocalFiles, "call", rationed)  # noqa: B010 - the types are wider, in this child alone

    return ration


def _mount(folder: Path, size: int, *, remount: bool = False) -> None:
    options = f"{'remount,' if remount else ''}size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def _may_mount() -> bool:
    try:
        tried = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


if __name__ == "__main__":
    line, found = _fill(Path(sys.argv[1]), int(sys.argv[2]), is_mounted=True)
    print("\n".join([*found, line]))  # noqa: T201 - this is how the outer process hears of it
