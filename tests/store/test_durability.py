"""The order in which a commit becomes durable, by the system calls it makes.

A test cannot pull the plug: what is tested is that the right calls come in the right order.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.store.world import run, wanted


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Return the list to which each call and its path are added, in order."""
    recorded: list[tuple[str, Path]] = []

    def record(module: object, name: str, position: int) -> None:
        real = getattr(module, name)

        def recording(*args: object, **kwargs: object) -> object:
            target = args[position]
            if isinstance(target, int):
                target = Path(f"/proc/self/fd/{target}").readlink()
            recorded.append((name, Path(str(target))))
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, recording)

    for name, position in (("fsync", 0), ("unlink", 0), ("link", 1), ("replace", 1)):
        record(os, name, position)
    record(shutil, "rmtree", 0)
    return recorded


def test_files_are_durable_before_they_have_a_name_and_names_before_the_commit(
    output: Path, steps: list[tuple[str, Path]]
) -> None:
    """File, name, folder, in this order for every file; the record last, and only then deletes."""
    run(output, wanted("ada", "bo", "cy"))
    steps.clear()
    run(output, wanted("ada", "bo", "cy", version="v2"))

    commit = steps.index(("link", output / "_snapshots" / "00000002.json"))
    links = [
        n
        for n, (name, path) in enumerate(steps[: commit + 1])
        # A link to a name of its own is the probe for hard links.
        if name == "link" and not path.name.startswith(".tmp-")
    ]
    assert len(links) >= 8
    for link in links:
        path = steps[link][1]
        before, after = steps[link - 1], steps[link + 1 : link + 3]
        assert before[0] == "fsync"
        assert before[1].name.startswith(".tmp-")
        assert before[1].parent == path.parent
        assert after == [("unlink", before[1]), ("fsync", path.parent)]
    deleted = [
        (n, path)
        for n, (name, path) in enumerate(steps)
        if name in {"unlink", "rmtree"} and not path.name.startswith(".tmp-")
    ]
    assert deleted
    assert min(n for n, _ in deleted) > commit + 2


def test_a_view_is_durable_before_latest_leads_to_it(
    output: Path, steps: list[tuple[str, Path]]
) -> None:
    """The swap comes after every file of the view, and after the commit."""
    run(output, wanted("ada", "bo", "cy"))

    commit = steps.index(("link", output / "_snapshots" / "00000001.json"))
    swap = steps.index(("replace", output / "latest"))
    synced = {path for name, path in steps[commit:swap] if name == "fsync"}
    view = output / "_views" / "00000001"
    assert {view / "results", view / "candidates", view / "rejections"} <= synced
    assert ("fsync", output) in steps[swap:]
