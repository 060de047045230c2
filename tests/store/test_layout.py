"""Paths of an output folder stay in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.errors import StoreError
from personalm.store.layout import Layout, inside

if TYPE_CHECKING:
    from pathlib import Path

BAD_NAMES = (
    "",
    ".",
    "..",
    "a/b",
    "/etc",
    "a\0",
    "a\n",
    "é",
    ".hidden",
    "-x",
    "a" * 300,
    "a\\b",
    "~",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_only_plain_names_become_paths(tmp_path: Path, name: str) -> None:
    """Numbers, hex and words of our own are plain; what a user may be called is not."""
    with pytest.raises(StoreError):
        inside(tmp_path, "units", name)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    """A folder that was swapped for a link elsewhere gets no file of ours."""
    root = tmp_path / "out"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "_data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="leads out of"):
        Layout.at(root).data("_data/results/0000-00.parquet")


def test_a_record_cannot_name_a_file_outside(tmp_path: Path) -> None:
    """A path in a commit record is read with the same suspicion."""
    for path in ("../secret", "/etc/passwd", "_data/../../x"):
        with pytest.raises(StoreError):
            Layout.at(tmp_path).data(path)
