"""What is made of all users together: the pool of strangers' texts, and the leak index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.leaks import make_leaks
from personalm.strangers import can_make_pool, drop_refusals, make_pool

if TYPE_CHECKING:
    from personalm.assembly import Assembly
    from personalm.inputs.spill import Spill
    from personalm.store.artefacts import Artefacts


def make_missing(
    assembly: Assembly, artefacts: Artefacts, spilled: Spill, *, rebuild: bool = False
) -> None:
    """Make of all users together what a folder does not have, or everything on demand.

    Who has opted out since is taken out of the pool that it has.
    """
    selection = assembly.settings.selection
    if rebuild or assembly.pool is None:
        assembly.pool = make_pool(
            spilled,
            artefacts,
            selection=selection,
            embedder_name=assembly.embedder_name,
            open_embedder=assembly.open_embedder,
            detect_language=assembly.detect_language,
        )
    else:
        assembly.pool = drop_refusals(assembly.pool, artefacts, spilled)
    is_asked = assembly.needs_leaks(has_requests=spilled.has_requests)
    if is_asked and (rebuild or assembly.leaks is None):
        assembly.leaks = make_leaks(
            spilled, artefacts, items=assembly.catalogue.items, selection=selection
        )


def foresee_missing(assembly: Assembly, spilled: Spill, *, rebuild: bool = False) -> None:
    """Plan as if a run had made what a folder does not have, or everything on demand.

    Nothing is made: a pool to come has an edition that no row has. A missing leak index needs no
    such care, as every row that it has a say in was written under some index.
    """
    if rebuild or assembly.pool is None:
        assembly.foresees_pool = can_make_pool(
            spilled,
            selection=assembly.settings.selection,
            detect_language=assembly.detect_language,
        )
