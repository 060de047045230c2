"""Resuming: which of the runs that did not get to their end goes on, and which go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from personalm.errors import StoreDamagedError
from personalm.store.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Collection

    from personalm.store.layout import Layout
    from personalm.store.objects import Objects

_log = logging.getLogger(__name__)


def resume_run(
    files: Objects, layout: Layout, fingerprint: str, *, published: Collection[str]
) -> Journal | None:
    """Return the newest unfinished run of a fingerprint, `None` without one; delete all others.

    `published` are the ids of runs that snapshots name.
    """
    resumed: Journal | None = None
    for name in reversed(files.names(layout.runs)):
        folder = layout.runs / name
        try:
            journal = Journal.attach(folder, files)
        except StoreDamagedError:
            reason = "it holds no run"
        else:
            if journal.run_id in published:
                reason = "it is published"
            elif journal.fingerprint != fingerprint:
                reason = "the model, a template or a setting is another now"
            elif resumed:
                reason = "a newer one is resumed"
            else:
                resumed = journal
                continue
        _log.info("the folder of run %s is deleted: %s", name, reason)
        files.remove_tree(folder)
    if resumed:
        _log.info("run %s goes on: %d units", resumed.run_id, len(resumed.unit_ids))
    return resumed
