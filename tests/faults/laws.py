"""Laws of an output folder: what must hold after a failure, and after the run that follows it.

Each check yields violations in words; none says that all is well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from personalm.accounts import Counts
from personalm.errors import PersonalmError
from personalm.store.reading import status
from personalm.store.verify import find_leftovers, verify
from tests.faults.world import last_counts, output_of, plain_view_of, view_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tests.faults.child import Ending
    from tests.faults.modes import Mode


def check_readers(output: Path, views: Collection[str]) -> Iterator[str]:
    """Readers see one of these views, whole; both of them, ours and one of plain Parquet."""
    for name, look in (("our reader", view_of), ("a reader of latest", plain_view_of)):
        try:
            view = look(output)
        except (PersonalmError, OSError, ValueError, KeyError) as error:
            yield f"{name} fails: {type(error).__name__}: {error}"
            continue
        if view not in views:
            yield f"{name} sees neither the old table nor the new one"


def check_failure(
    place: Path, ending: Ending, mode: Mode, *, views: Collection[str], new: str
) -> Iterator[str]:
    """Hold right after a command met a fault: it says so, and readers see old or new."""
    output = output_of(place)
    yield from check_readers(output, views)
    if "canary" in ending.errors.replace(str(place), ""):
        yield "an id of a user is in a message"
    if ending.is_served:
        # The fault came after the commit, where only leftovers were at stake.
        yield from check_readers(output, new)
    elif ending.code not in mode.exit_codes:
        yield f"exit code {ending.code}: {ending.errors[-300:]}"
    if mode.name == "ENOSPC" and ending.code == 1 and "MB are free" not in ending.errors:
        yield f"a full disk is not named: {ending.errors[-300:]}"
    if (output / "_personalm.json").exists() and view_of_quietly(output) != "nothing":
        yield from (problem for problem in verify(output) if "latest does not lead" not in problem)


def view_of_quietly(output: Path) -> str:
    """Return our reader's view, empty where it fails: that is reported elsewhere."""
    try:
        return view_of(output)
    except PersonalmError:
        return ""


def journalled(output: Path) -> int:
    """Return the requests that are journalled and not published."""
    if not (output / "_personalm.json").exists():
        return 0
    unfinished = status(output)["unfinished"]
    return int(unfinished["rows"]) if unfinished else 0


def check_end(place: Path, ending: Ending, *, new: Collection[str]) -> Iterator[str]:
    """Hold after a command that met no fault: it ends right, whatever came before it.

    `new` is what readers see then, or several where each of them is right.
    """
    output = output_of(place)
    if not ending.is_served:
        yield f"the clean run fails: {ending.code}: {ending.errors[-300:]}"
        return
    yield from check_readers(output, new)
    yield from verify(output)
    leftovers = find_leftovers(output)
    if leftovers:
        yield f"{len(leftovers)} leftovers stay"
    if any(output.rglob(".tmp-*")):
        yield "unfinished files stay"
    if any((output / "_runs").glob("*")):
        yield "the folder of a run stays"


def check_accounts(
    output: Path, *, was_journalled: int, was_published: bool, num_written: int
) -> Iterator[str]:
    """Hold after a clean run: all is accounted for, and nothing was written a second time."""
    counts = Counts(**last_counts(output))
    if not counts.is_balanced:
        yield f"requests and outcomes do not add up: {counts}"
    expected = 0 if was_published else num_written - was_journalled
    if counts.generated != expected:
        yield f"{counts.generated} texts were written, {expected} were missing"
    live = json.loads(max((output / "_snapshots").glob("*.json")).read_bytes())["live"]
    if counts.results + counts.rejections + counts.unchanged != (
        live["results"] + live["rejections"]
    ):
        yield "the run counted other rows than are live"
