"""Layout of an output folder: the one place that builds paths in it.

Names are numbers, hex and words of the program. An id of a user or an item never becomes one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.errors import StoreError
from personalm.places import locate
from personalm.remote import OUTPUT_MARK

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
"""Version of the folder's layout; a newer one is refused."""

PARQUET = ".parquet"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}")


def inside(root: Path, *names: str) -> Path:
    """Return the path of `names` under `root`, which is resolved.

    Raises StoreError for a name that is not plain, and where a link leads out of the root.
    """
    if not all(_NAME.fullmatch(name) for name in names):
        raise StoreError(f"{root}: a name that is asked for in this folder is not a plain one")
    path = root.joinpath(*names)
    # A link to a file is refused where files are opened; one to a folder has to be found here.
    folder = path if path.is_dir() else path.parent
    if not folder.resolve().is_relative_to(root):
        raise StoreError(
            f"{folder} leads out of {root}",
            remedy="Replace the link by a folder, or put the whole output where it leads.",
        )
    return path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths in one output folder."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> Layout:
        """Return the layout of a folder, which need not exist yet."""
        return cls(locate(path))

    @property
    def identity(self) -> Path:
        """What says that the folder is ours, and its number of buckets."""
        return inside(self.root, OUTPUT_MARK)

    @property
    def lock(self) -> Path:
        """File that the driver of a run holds."""
        return inside(self.root, "_lock")

    @property
    def last_run(self) -> Path:
        """Summary of the last run."""
        return inside(self.root, "_last_run.json")

    @property
    def latest(self) -> Path:
        """Link to the view of the newest snapshot."""
        return inside(self.root, "latest")

    @property
    def runs(self) -> Path:
        """Folder with a folder for each unfinished run."""
        return inside(self.root, "_runs")

    @property
    def artefacts(self) -> Path:
        """Folder of what is made of all users together; private."""
        return inside(self.root, "_artefacts")

    @property
    def notes(self) -> Path:
        """Folder of what was worked out about people, for later runs; private."""
        return inside(self.root, "_notes")

    @property
    def snapshots(self) -> Path:
        """Folder of the commit records."""
        return inside(self.root, "_snapshots")

    @property
    def views(self) -> Path:
        """Folder with a folder of plain Parquet files for each of the last snapshots."""
        return inside(self.root, "_views")

    def run(self, run_id: str) -> Path:
        """Folder of a run."""
        return inside(self.root, "_runs", run_id)

    def snapshot(self, number: int) -> Path:
        """Commit record of a snapshot."""
        return inside(self.root, "_snapshots", f"{number:08d}.json")

    def view(self, number: int) -> Path:
        """Folder of plain Parquet files of a snapshot."""
        return inside(self.root, "_views", f"{number:08d}")

    def table(self, table: str) -> Path:
        """Folder of the bucket files of a table."""
        return inside(self.root, "_data", table)

    def data(self, relative: str) -> Path:
        """Return the path of a bucket file that a commit record names."""
        return inside(self.root, *relative.split("/"))
