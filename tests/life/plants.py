"""Guards of the product to take out, so that it shows whether the state machine misses them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from personalm.accounts import Counts
from personalm.planning import planner
from personalm.planning.fingerprints import fingerprint_of
from personalm.planning.ledger import Ledger
from personalm.store import identity, journal, merging, snapshots
from personalm.store.files import LocalFiles
from personalm.store.forgetting import _Eraser
from personalm.store.publication import Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    Patches = Sequence[AbstractContextManager[Any]]


def _pass(*_: object) -> None:
    """Check nothing."""


def _ignore_templates(**parts: Any) -> str:
    return fingerprint_of(**{**parts, "kind": None})


def _refuse_alone(ledger: Ledger, _user_id: str, keys: Any) -> None:
    """Serve a user who opted out no longer, and leave what is published."""
    ledger._opted_out.extend(keys)


PLANTS: dict[str, Callable[[], Patches]] = {
    "no-lock": lambda: [patch.object(LocalFiles, "lock", lambda *_: nullcontext())],
    "no-count-check": lambda: [
        patch.object(journal, "_check", _pass),
        patch.object(Publication, "check", _pass),
        patch.object(Counts, "is_balanced", property(lambda _: True)),
    ],
    "no-withdrawal": lambda: [patch.object(Ledger, "refuse", _refuse_alone)],
    "no-sweep": lambda: [patch.object(_Eraser, "remove_snapshots", lambda _: 0)],
    "no-template": lambda: [patch.object(planner, "fingerprint_of", _ignore_templates)],
    "no-labels": lambda: [patch.object(merging, "relabel", lambda table, _: table)],
    "no-seal": lambda: [
        patch.object(module, "is_as_sealed", lambda *_, **__: True)
        for module in (snapshots, identity)
    ],
}
"""Guards by name: how each is taken out."""


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Take a guard out for as long as the context lasts."""
    with ExitStack() as stack:
        for each in PLANTS[name]() if name else ():
            stack.enter_context(each)
        yield
