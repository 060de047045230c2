"""Commands about an output folder: what it holds, whether it is whole, older snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from personalm.shell import FAILED
from personalm.visible import visible_line


def status(output: Path, *, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Show what an output folder holds and what its last run did.

    Example: `personalm status OUT --json`

    Parameters
    ----------
    output
        Folder of the results.
    json
        Print one JSON object: `run` (counts of the last run) and `snapshot` (live rows).
    """
    from personalm.accounts import Drops
    from personalm.store.reading import status as read_status

    state = read_status(output)
    if json:
        from json import dumps

        print(dumps(state, indent=2))
        return 0
    snapshot, last, unfinished = state["snapshot"], state["run"], state["unfinished"]
    if snapshot:
        print(
            f"snapshot {snapshot['number']} of {snapshot['created_at']}: "
            f"{snapshot['results']} results, {snapshot['rejections']} rejections"
        )
    else:
        print("no snapshot yet")
    if last:
        counts = ", ".join(f"{name} {value}" for name, value in last.items())
        print(visible_line(f"last run: {counts}"))
    for line in Drops(**state["drops"]).lines if state["drops"] else ():
        print(visible_line(line))
    for name, about in (state["artefacts"] or {}).items():
        made_at = about.pop("created_at")
        facts = ", ".join(f"{what} {value}" for what, value in about.items())
        print(visible_line(f"{name}, made {made_at}: {facts}"))
    if len(state["kept"]) > 1:
        numbers = ", ".join(str(kept["number"]) for kept in state["kept"])
        print(f"kept snapshots, for `personalm rollback`: {numbers}")
    if unfinished:
        run_id = visible_line(unfinished["run_id"])
        print(
            f"unfinished run {run_id}: {unfinished['rows']} requests are journalled; "
            "the same `personalm run` goes on from there"
        )
    return 0


def verify(output: Path) -> int:
    """Check every file of an output folder against its checksum, and every key for one live row.

    Example: `personalm verify OUT` (exit code 0: clean, 1: problems, listed)

    Parameters
    ----------
    output
        Folder of the results.
    """
    from personalm.store.verify import find_leftovers
    from personalm.store.verify import verify as find_problems

    problems = find_problems(output)
    for problem in problems:
        print(visible_line(problem))
    leftovers = find_leftovers(output)
    if leftovers:
        print(f"{len(leftovers)} files that no snapshot needs; the next run removes them")
    print(f"{len(problems)} problems" if problems else "clean")
    return FAILED if problems else 0


def rollback(output: Path, number: int) -> int:
    """Let readers see an older snapshot again, as a new one; nothing is removed.

    The next run writes again what its inputs ask for and the older snapshot does not have, and
    withdraws whoever has opted out. `personalm status OUT` lists the snapshots that are kept.

    Example: `personalm rollback OUT 12`

    Parameters
    ----------
    output
        Folder of the results.
    number
        Number of a kept snapshot.
    """
    from personalm.store.store import Store

    store = Store.require(output)
    with store.lock():
        snapshot = store.rollback(number)
    rows = snapshot.num_rows
    print(
        f"snapshot {snapshot.number} published ({snapshot.action}): "
        f"{rows['results']} results, {rows['rejections']} rejections"
    )
    return 0


def vacuum(output: Path, *, keep: int = 1) -> int:
    """Remove older snapshots and leftovers of killed runs, to make room.

    Readers of a removed snapshot lose its files. What an unfinished run has written so far stays,
    for the run that goes on from there.

    Examples:
    - `personalm vacuum OUT` (keeps the newest snapshot alone)
    - `personalm vacuum OUT --keep 3`

    Parameters
    ----------
    output
        Folder of the results.
    keep
        Number of snapshots to keep, the newest included.
    """
    from personalm.errors import SettingsError
    from personalm.store.store import Store

    if keep < 1:
        raise SettingsError(f"--keep {keep}: at least the newest snapshot stays")
    store = Store.require(output)
    with store.lock():
        num_removed = store.vacuum(keep=keep)
    print(f"{num_removed} files removed; {len(store.snapshots)} snapshots kept")
    return 0
