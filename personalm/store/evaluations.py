"""The folder of an evaluation as files: what lies in it, whose texts, and forgetting there.

An evaluation writes and reads it. How its files are named and built is known here, so that whoever
forgets people need know nothing of how texts are judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from personalm.errors import StoreDamagedError
from personalm.places import locate
from personalm.remote import OUTPUT_MARK, RemotePath
from personalm.store.artefacts import Artefacts
from personalm.store.files import TEMPORARY, LocalFiles
from personalm.store.forgetting import clear_artefacts
from personalm.store.layout import Layout
from personalm.store.parquet import decode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from personalm.store.forgetting import TakeOut

OUTPUTS = "_outputs"
"""Folder of the texts of an evaluation; by its first letter it is no input of anybody."""

COMMON = "common"
"""Folder of what a run makes of all users together: its strangers and its leak index."""

METRICS = "metrics.json"
PAGE = "evaluation.html"
LOCK = "_lock"
"""File that an evaluation holds while it is under way."""

_CANDIDATE = pa.struct(
    [("text", pa.string()), ("dropped_by", pa.string()), ("style_cosine", pa.float64())]
)
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("condition", pa.string()),
        ("kind", pa.string()),
        ("subject_id", pa.string()),
        ("subject", pa.string()),
        ("text", pa.string()),
        ("reason", pa.string()),
        ("prompt", pa.string()),
        ("candidates", pa.list_(_CANDIDATE)),
        ("shown_id", pa.string()),
    ]
)
"""Columns of a file of texts. `shown_id` is the user whose texts the prompt may hold: another one
than the user, or the same."""

_NAME = re.compile(r"[a-z]+-[0-9a-f]{24}\.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What was removed of an evaluation: files of texts, and the artefacts that held the users."""

    num_files: int
    artefacts: tuple[str, ...]


def is_evaluation(path: str | Path) -> bool:
    """Say whether a folder is that of an evaluation, for sure."""
    root = locate(path)
    if isinstance(root, RemotePath) or (root / OUTPUT_MARK).exists():
        return False
    has_figures = (root / METRICS).is_file() and (root / PAGE).is_file()
    return has_figures or any(_NAME.fullmatch(name) for name in names_of_texts(root / OUTPUTS))


def names_of_texts(folder: Path) -> tuple[str, ...]:
    """Return the files that evaluations have written to a folder of texts, unfinished ones too."""
    if folder.is_symlink() or not folder.is_dir():
        return ()
    names = LocalFiles().names(folder)
    return tuple(name for name in names if _NAME.fullmatch(name) or name.startswith(TEMPORARY))


def forget_in_evaluation(
    path: str | Path, user_ids: Collection[str], *, take_out: Mapping[str, TakeOut]
) -> Removal:
    """Remove all files with texts of some users, or with their texts in prompts.

    Figures and page were made of them and go too: another evaluation makes them anew. `take_out`
    is that of `forget`. Raises StoreLockedError where an evaluation is under way.
    """
    root, files = locate(path), LocalFiles()
    folder = root / OUTPUTS
    with files.lock(root / LOCK, "forgetting"):
        found = [name for name in names_of_texts(folder) if _may_hold(folder / name, user_ids)]
        if found:
            # Before the texts: a call that comes after a crash still finds those.
            for name in (METRICS, PAGE):
                files.remove(root / name)
        for name in found:
            files.remove(folder / name)
        artefacts = clear_artefacts(Artefacts(Layout.at(root / COMMON)), user_ids, take_out)
    return Removal(num_files=len(found), artefacts=artefacts)


def _may_hold(path: Path, user_ids: Collection[str]) -> bool:
    """Say whether a file is of some users or shows them; one that does not tell may."""
    if path.name.startswith(TEMPORARY):
        return True
    try:
        rows = decode(LocalFiles().read(path), path, schema=SCHEMA)
    except StoreDamagedError:
        return True
    found = {*rows["user_id"].to_pylist(), *rows["shown_id"].to_pylist()}
    return None in found or not found.isdisjoint(user_ids)
