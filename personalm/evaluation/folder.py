"""The folder of an evaluation: its texts, its figures and its page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from personalm.evaluation.headline import headline_of
from personalm.evaluation.page import render_page
from personalm.evaluation.suite import evaluate
from personalm.places import locate_here
from personalm.store.evaluations import LOCK, METRICS, PAGE
from personalm.store.files import LocalFiles

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.evaluation.plan import Plan
    from personalm.progress import Progress
    from personalm.settings import Settings


def evaluate_into(folder: Path, settings: Settings, *, plan: Plan, progress: Progress) -> str:
    """Evaluate, write figures and page, and return the headline sentence.

    Neither of them holds a text or an id; the texts lie in `_outputs`, for the owner alone. Raises
    SettingsError for a folder on object storage, StoreLockedError where another evaluation is
    under way in it, and what `evaluate` raises.
    """
    folder = locate_here(folder, "an evaluation")
    files = LocalFiles()
    files.make_folder(folder)
    with files.lock(folder / LOCK, "an evaluation"):
        metrics = evaluate(settings, folder, plan=plan, progress=progress)
        files.replace(folder / METRICS, json.dumps(metrics, indent=2).encode())
        files.replace(folder / PAGE, render_page(metrics).encode())
    return headline_of(metrics)
