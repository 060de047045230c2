"""The specification of a run: what a worker in another process needs to know to take part in it.

It lies in the run's private folder. Of users it names digests alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from personalm.accounts import Scope
from personalm.remote import place_of
from personalm.settings import Settings
from personalm.store.object_files import files_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from personalm.intake import Intake

_NAME = "spec.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Settings, and which users of each bucket are looked at; see `Intake`."""

    settings: Settings
    limits: Sequence[int | None]
    scope: Scope

    @classmethod
    def of(cls, settings: Settings, intake: Intake) -> Self:
        """Return the specification of a run that takes up this intake."""
        whole = settings.model_copy(update={"output": settings.output.resolve()})
        return cls(settings=whole, limits=intake.limits, scope=intake.scope)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what the driver has left in the folder of a run."""
        folder = place_of(folder)
        values = json.loads(files_at(folder).read(folder / _NAME))
        scope = values["scope"]
        users = None if scope["users"] is None else frozenset(scope["users"])
        return cls(
            settings=Settings.model_validate(values["settings"]),
            limits=values["limits"],
            scope=Scope(**{**scope, "users": users}),
        )

    def write(self, folder: Path) -> None:
        """Leave it in the folder of a run."""
        users = None if self.scope.users is None else sorted(self.scope.users)
        values = {
            "settings": self.settings.model_dump(mode="json"),
            "limits": list(self.limits),
            "scope": {**asdict(self.scope), "users": users},
        }
        files_at(folder).replace(folder / _NAME, json.dumps(values).encode())
