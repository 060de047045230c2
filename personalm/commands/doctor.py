"""`personalm doctor`: what a run would make of the inputs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from personalm.commands.arguments import Config
from personalm.progress import make_progress
from personalm.shell import FAILED


def doctor(
    *,
    config: Config = None,
    model: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Read all that a run would read, and say what it would make of it; no model is loaded.

    For every file and column: what was cast, changed, missing, dropped or refused, how often, and
    what to do. Then who the users are, and what becomes of their requests.

    Example: `personalm doctor --config personalm.toml` (exit code 0: a run would work, 1: it
    would be refused)

    Parameters
    ----------
    config
        TOML file with the settings.
    model
        A folder, a hub id, or a bundled name.
    json
        Print one JSON object: `would_run`, `problems`, `tables`, `findings` and `census`.
    """
    from personalm.doctor.examine import examine
    from personalm.doctor.showing import show

    with make_progress() as progress:
        diagnosis = examine(config, model=model, progress=progress)
    if json:
        from json import dumps

        print(dumps(diagnosis.to_json(), indent=2))
    else:
        show(diagnosis)
    return 0 if diagnosis.would_run else FAILED
