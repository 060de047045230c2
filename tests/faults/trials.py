"""Trials: failures that no single file call stands for.

Two commands at once, with the lock and without it; an outcome that gets lost on its way; and the
order of the calls that make a commit durable.
"""

from __future__ import annotations

import os
import shutil
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personalm.assembly import Assembly
from personalm.store.files import LocalFiles
from tests.faults.child import run_command, start, wait
from tests.faults.laws import check_end, check_readers
from tests.faults.operations import OPERATIONS, copy_world
from tests.faults.world import SECOND, output_of, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Event

    from personalm.writing import WrittenUnit

_RUN = next(operation for operation in OPERATIONS if operation.name == "run")


def try_all(place: Path) -> Iterator[tuple[str, str | None]]:
    """Run all trials; yield the name of each, with every violation or once with `None`."""
    base = place / "base"
    _RUN.prepare(base)
    old = view_of(output_of(base))
    copy_world(base, place / "new")
    run_command(_RUN.command(place / "new"))
    new = view_of(output_of(place / "new"))
    for trial in (lose_an_outcome, run_beside_a_run, run_without_the_lock, record_the_order):
        world = place / trial.__name__
        copy_world(base, world)
        name = trial.__name__.replace("_", " ")
        found: list[str | None] = [*trial(world, old, new)]
        shutil.rmtree(world)
        yield from ((name, violation) for violation in found or [None])


def lose_an_outcome(place: Path, old: str, new: str) -> Iterator[str]:
    """Lose a request on its way: nothing is published, and the next run makes up for it."""

    def lose() -> None:
        write = Assembly.write

        def losing(self: Assembly, units: Any, *, notes: Any = None) -> Iterator[WrittenUnit]:
            for written in write(self, units, notes=notes):
                object.__setattr__(written, "outcomes", written.outcomes[1:])
                yield written

        Assembly.write = losing  # type: ignore[method-assign]  # in this child alone

    ending = run_command(_RUN.command(place), before=lose)
    if ending.code != 1:
        yield f"a lost outcome goes unnoticed: exit code {ending.code}"
    yield from check_readers(output_of(place), {old})
    yield from check_end(place, run_command(_RUN.command(place)), new={new})


def run_beside_a_run(place: Path, old: str, new: str) -> Iterator[str]:
    """Start a second run: it is refused at once, and what the first has is untouched."""
    first, is_there, may_go = _run_up_to_commit(place, "first")
    _require(is_there)
    second = run_command(["run", "--config", str(place / SECOND)])
    if second.code != 1 or "held by another run" not in second.errors:
        yield f"a second run is not refused: {second.code} {second.errors[-200:]}"
    yield from check_readers(output_of(place), {old})
    may_go.set()
    if wait(first) not in {0, 3}:
        yield "the first run fails"
    yield from check_end(place, run_command(_RUN.command(place)), new={new})


def run_without_the_lock(place: Path, old: str, new: str) -> Iterator[str]:
    """Delete the lock file by hand: of two that get through, one publishes at the most."""
    first, is_there, may_go = _run_up_to_commit(place, "first")
    _require(is_there)
    (output_of(place) / "_lock").unlink(missing_ok=True)
    second, second_is_there, second_may_go = _run_up_to_commit(place, "second")
    # It never gets there where it is refused before.
    second_is_there.wait(timeout=5)
    may_go.set()
    wait(first)
    second_may_go.set()
    wait(second)
    said = [(place / f"{name}.said").read_text() for name in ("first", "second")]
    num_published = sum("published; read" in text for text in said)
    if num_published != 1:
        yield f"{num_published} of two runs believe that they have published"
    if not any("another run has" in text for text in said):
        yield "the run that came too late does not say so"
    yield from check_readers(output_of(place), {old, new})
    yield from check_end(place, run_command(_RUN.command(place)), new={new})


def record_the_order(place: Path, old: str, new: str) -> Iterator[str]:
    """Record the calls: files are durable before their names, names before the commit."""
    del old
    log = place / "calls"
    ending = run_command(_RUN.command(place), before=lambda: _record(log))
    yield from check_end(place, ending, new={new})
    lines = log.read_text().splitlines()
    # The inputs in buckets are scratch, and gone by the time of the commit.
    calls = [tuple(line.split("\t")) for line in lines if "/spill" not in line]
    yield from _check_order(calls, output_of(place))


def _check_order(calls: list[tuple[str, ...]], output: Path) -> Iterator[str]:
    named = [
        n
        for n, (name, path, *_) in enumerate(calls)
        if name in {"link", "replace"} and not Path(path).name.startswith(".tmp-")
    ]
    commits = [n for n in named if Path(calls[n][1]).parent.name == "_snapshots"]
    if len(commits) != 1:
        yield f"{len(commits)} commits"
        return
    (commit,) = commits
    for n in named:
        path, source = Path(calls[n][1]), calls[n][2]
        is_second_name = not Path(source).name.startswith(".tmp-")
        is_link = path.name == "latest"
        if (
            not is_second_name
            and not is_link
            and ("fsync", source) not in {call[:2] for call in calls[:n]}
        ):
            yield f"{path.parent.name}: a file has a name before it is durable"
        until = commit if n < commit else len(calls)
        if ("fsync", str(path.parent)) not in {call[:2] for call in calls[n:until]}:
            yield f"{path.parent.name}: a name is not durable when it has to be"
    for name, target, *_ in calls[:commit]:
        if name in {"unlink", "rmtree"} and not Path(target).name.startswith(".tmp-"):
            yield f"{Path(target).relative_to(output)} goes before the commit"


def _record(log: Path) -> None:
    """Write down, in this child, the calls that change the disk, with absolute paths."""
    file = log.open("w", buffering=1)

    def record(module: Any, name: str, position: int) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def recording(*args: Any, **kwargs: Any) -> Any:
            target = args[position]
            if isinstance(target, int):
                target = Path(f"/proc/self/fd/{target}").readlink()
            file.write(f"{name}\t{target}\t{args[0]}\n")
            return real(*args, **kwargs)

        setattr(module, name, recording)

    # What a plant has taken out is not seen here: it is not done either.
    if os.fsync.__name__ == "fsync":
        record(os, "fsync", 0)
    for name, position in (("unlink", 0), ("link", 1), ("replace", 1)):
        record(os, name, position)
    record(shutil, "rmtree", 0)


def _run_up_to_commit(place: Path, name: str) -> tuple[int, Event, Event]:
    """Start a run that waits before its commit; return its process, and the two events.

    What it says goes into a file of that name.
    """
    context = get_context("fork")
    is_there, may_go = context.Event(), context.Event()

    def hold() -> None:
        call: Callable[..., Any] = LocalFiles.call

        def holding(self: LocalFiles, function: Callable[..., Any], *args: Any) -> Any:
            if _is_commit(function, args) and not is_there.is_set():
                is_there.set()
                may_go.wait(timeout=60)
            return call(self, function, *args)

        setattr(LocalFiles, "call", holding)  # noqa: B010 - the types are wider, in this child alone

    def work() -> int:
        done = run_command(["run", "--config", str(place / SECOND)], before=hold)
        (place / f"{name}.said").write_text(done.output + done.errors)
        return done.code

    return start(work), is_there, may_go


def _is_commit(function: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Say whether a call begins to write a record; an empty one only bars a number."""
    is_write = function.__name__ == "_write" and bool(args[1])
    return is_write and args[0].parent.name == "_snapshots"


def _require(event: Event) -> None:
    if not event.wait(timeout=60):
        raise RuntimeError("a run does not get as far as its commit")
