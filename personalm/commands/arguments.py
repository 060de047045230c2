"""Arguments that several commands take."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from personalm.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

A_NUMBER = validators.Number(gte=0, lte=sys.maxsize)
Config = Annotated[Path | None, Parameter(name=["--config", "-c"])]
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]


def read_users(named: Sequence[str]) -> tuple[str, ...]:
    """Return user ids: each argument is a file with one id a line, or ids with commas between.

    White space around an id is a part of it, but for what follows a comma.
    """
    from personalm.inputs.ids import canonical_id

    ids: list[str] = []
    for each in named:
        path = Path(each)
        # A name that is too long for a file is ids.
        with suppress(OSError, ValueError):
            if path.is_file():
                ids += read_lines(path)
                continue
        first, *others = each.split(",")
        ids += filter(str.strip, (first, *map(str.lstrip, others)))
    found = tuple(dict.fromkeys(ids))
    if not found:
        raise SettingsError(
            "no user is named", remedy="Give ids with commas between them, or a file of ids."
        )
    return tuple(map(canonical_id, found))


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file of ids that are not blank. Raises SettingsError.

    White space around an id is a part of it: without it, it may be another user's.
    """
    try:
        # Not `splitlines`: other characters that end a line may stand within an id.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
        return [line.removesuffix("\r") for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path} is no text in UTF-8", remedy="Write one id a line.") from None
