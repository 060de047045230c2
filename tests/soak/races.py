"""Races: readers beside a writer, and two runs at once, with the lock and without it."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from personalm.errors import PersonalmError
from personalm.store import store as store_module
from personalm.store.files import LocalFiles
from personalm.store.reading import read_table
from personalm.store.verify import find_leftovers, verify
from tests.faults.child import run_command, start, wait
from tests.faults.laws import check_end
from tests.faults.operations import OPERATIONS, copy_world
from tests.faults.world import SECOND, output_of, view_of
from tests.store.world import is_rejected, run, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

USERS = tuple(f"user-{n}" for n in range(12))


def race_readers(place: Path, *, num_snapshots: int) -> tuple[str, list[str]]:
    """Read in a loop while snapshots are committed; every read is one of them, whole."""
    import pandas as pd  # noqa: PLC0415 - its reader starts threads: not before the fork

    output = place / "readers"
    versions = [f"v{number}" for number in range(num_snapshots)]
    run(output, wanted(*USERS, version=versions[0]))

    tables = [
        {(k.user_id, version) for k in wanted(*USERS) if not is_rejected(k, version)}
        for version in versions
    ]

    def commit() -> int:
        for version in versions[1:]:
            run(output, wanted(*USERS, version=version))
        return 0

    writer = start(commit)
    seen: Counter[str] = Counter()
    violations: list[str] = []
    is_over = False
    while not is_over:
        # One more round after the end: the last snapshot is seen too.
        is_over = os.waitpid(writer, os.WNOHANG) != (0, 0)
        rows = read_table(output, "results").to_pylist()
        found = {(row["user_id"], row["fingerprint"]) for row in rows}
        if found not in tables:
            violations.append(f"our reader sees a mix: {sorted(found)}")
        seen["ours"] += 1
        latest = output / "latest"
        for name, folder in (("latest resolved", latest.resolve()), ("latest", latest)):
            try:
                frame = pd.read_parquet(folder / "results")
            except FileNotFoundError as error:
                seen[f"{name}, to be repeated"] += 1
                if name != "latest":
                    violations.append(f"{name}: {error}")
                continue
            seen[name] += 1
            found = set(zip(frame["user_id"], frame["fingerprint"], strict=True))
            if found not in tables:
                violations.append(f"{name}: a mix: {sorted(found)}")
    violations += verify(output)
    reads = ", ".join(f"{count} {name}" for name, count in seen.items())
    return f"readers: {num_snapshots} snapshots, {reads}, {len(violations)} violations", violations


def race_runs(place: Path, *, num_rounds: int, seed: int) -> tuple[str, list[str]]:
    """Start two runs at once, in five variants in turn; a clean run ends each round."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    operation = next(operation for operation in OPERATIONS if operation.name == "run")
    base = place / "base"
    operation.prepare(base)
    old = view_of(output_of(base))
    command = operation.command
    new, anew = (
        _end_of(base, place / name, [*(command(place / name) + other for other in before)])
        for name, before in (("right", [[]]), ("anew", [_OTHER_SEED, []]))
    )
    violations: list[str] = []
    ends: Counter[str] = Counter()
    for number in range(num_rounds):
        variant = _VARIANTS[number % len(_VARIANTS)]
        world = place / f"round-{number}"
        copy_world(base, world)
        found = list(_race(world, variant, chance, ends, {old, new}))
        # Whoever opts out leaves the pool of strangers: what another seed has written in between is
        # scored without them when it is written again.
        right = {new, anew} if variant.endswith("other seed") else {new}
        found += check_end(world, run_command(command(world)), new=right)
        violations += [f"round {number}, {variant}: {violation}" for violation in found]
        shutil.rmtree(world)
    told = ", ".join(f"{count} {name}" for name, count in sorted(ends.items()))
    return f"runs: {num_rounds} rounds, {told}, {len(violations)} violations", violations


def _end_of(base: Path, world: Path, commands: Sequence[list[str]]) -> str:
    """Return what readers see after some commands in a copy of a world."""
    copy_world(base, world)
    for command in commands:
        run_command(command)
    return view_of(output_of(world))


_OTHER_SEED = ["--seed", "7"]
_VARIANTS = ("locked", "lock deleted", "no lock", "no lock, other seed", "no lock, clock moved")


def _race(
    world: Path, variant: str, chance: random.Random, ends: Counter[str], views: set[str]
) -> list[str]:
    barrier = get_context("fork").Barrier(2, timeout=60)

    def begin(*, is_second: bool) -> None:
        if variant.startswith("no lock"):
            LocalFiles.lock = lambda *_: nullcontext()  # type: ignore[method-assign, assignment]  # in this child alone
        if variant.endswith("clock moved") and is_second:
            store_module.datetime = _Yesterday  # type: ignore[attr-defined]  # the same
        barrier.wait()

    def work(*, is_second: bool) -> int:
        arguments = ["run", "--config", str(world / SECOND)]
        if variant.endswith("other seed") and is_second:
            arguments += _OTHER_SEED
        done = run_command(arguments, before=partial(begin, is_second=is_second))
        (world / f"said-{is_second}").write_text(done.output + done.errors)
        return done.code

    before = _snapshots(world)
    children = [start(partial(work, is_second=is_second)) for is_second in (False, True)]
    if variant == "lock deleted":
        deadline = time.monotonic() + chance.uniform(0, 0.5)
        while time.monotonic() < deadline:
            (output_of(world) / "_lock").unlink(missing_ok=True)
            time.sleep(0.002)
    for child in children:
        wait(child)
    return _judge(world, before, ends, views, is_mixed=variant.endswith("other seed"))


def _judge(
    world: Path, before: set[int], ends: Counter[str], views: set[str], *, is_mixed: bool
) -> list[str]:
    output = output_of(world)
    said = [(world / f"said-{is_second}").read_text() for is_second in (False, True)]
    claimed = {
        int(text.split("snapshot ")[1].split()[0]) for text in said if "published; read" in text
    }
    # Not their number: a second commit lets the oldest snapshot expire.
    committed = _snapshots(world) - before
    violations = []
    # Two that go on with the same journal may both find it published, once.
    if claimed != committed:
        violations.append(
            f"runs claim snapshots {sorted(claimed)}, {sorted(committed)} were committed"
        )
    for text in said:
        if "published; read" in text:
            ends["published"] += 1
        elif "nothing changed" in text:
            ends["found nothing to do"] += 1
        elif "personalm: " in text:
            ends["refused"] += 1
        else:
            violations.append(f"a run says nothing of its end: {text[-300:]}")
    try:
        view = view_of(output)
        # With another seed the table of the second run is right too.
        if view not in views and not is_mixed:
            violations.append("the reader sees neither the old table nor the new one")
        violations += [p for p in verify(output) if "latest does not lead" not in p]
        find_leftovers(output)
    except PersonalmError as error:
        violations.append(f"the reader fails: {error}")
    return violations


def _snapshots(world: Path) -> set[int]:
    records = (output_of(world) / "_snapshots").glob("*.json")
    return {int(record.stem) for record in records if record.stat().st_size > 0}


class _Yesterday(datetime):
    """A clock that was set back."""

    @classmethod
    def now(cls, *args: Any, **kwargs: Any) -> datetime:  # type: ignore[override]  # a plain time
        """Return the time of yesterday."""
        return datetime.now(*args, **kwargs) - timedelta(days=1)  # noqa: DTZ005 - as it was asked for
