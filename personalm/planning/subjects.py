"""Subjects: what a request is about, as its kind asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personalm.hashing import subject_id_of
from personalm.planning.requirements import Problem
from personalm.planning.topics import choose_topic
from personalm.records import Reason

if TYPE_CHECKING:
    from personalm.kinds import Kind
    from personalm.planning.catalogue import Catalogue
    from personalm.records import Profile, Request


def find_subject(
    request: Request, kind: Kind, profile: Profile, catalogue: Catalogue
) -> Request | Problem:
    """Return the request with its item and its subject, its key unchanged.

    A request that names neither gets an item of the catalogue, or a topic of the user's own.
    """
    item = request.item or catalogue.get(request.subject_id)
    subject = (request.subject or "").strip()
    names_nothing = request.subject_id == subject_id_of("", request.instructions)
    wanted = kind.front.subject
    if wanted == "given" and not subject:
        return Problem(
            Reason.MISSING_INPUT, f"the kind {kind.name} needs a subject, and there is none"
        )
    if wanted == "item" and item is None and not names_nothing:
        return Problem(
            Reason.UNKNOWN_ITEM,
            f"subject_id names none of the {len(catalogue)} items of the catalogue",
        )
    if item is None and not subject:
        item = catalogue.choose(profile)
    if item is None and not subject and wanted == "topic":
        subject = choose_topic(profile.texts) or ""
    if item is None and (wanted == "item" or not subject):
        return Problem(
            Reason.NO_SUBJECT,
            "no item of the catalogue is left to choose"
            + (", and no topic stands out in the user's texts" if wanted == "topic" else ""),
        )
    return replace(request, item=item, subject=subject or (item.title if item else None))
