"""`personalm evaluate`: how much the texts sound like their users, with floors and ceilings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from personalm.commands.arguments import Config
from personalm.progress import make_progress


def evaluate(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    config: Config = None,
    model: str | None = None,
    users: Annotated[int | None, Parameter(validator=validators.Number(gte=4))] = None,
    quick: Annotated[bool, Parameter(negative=())] = False,
    real_texts_only: Annotated[bool, Parameter(negative=())] = False,
    compare_slots: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Tell how much texts sound like the users they are written for, and write a page about it.

    Texts are written with each user's own profile, with another user's and with none, and are
    compared with real texts of the same length that no prompt has seen. The same command goes on
    where it was stopped.

    Examples:
    - `personalm evaluate --config personalm.toml --output EVALUATION --quick`
    - `personalm evaluate --config examples/irc.toml --output EVALUATION`
    - `personalm evaluate --config examples/irc.toml --output EVALUATION --real-texts-only`

    Parameters
    ----------
    output
        Folder of the figures (metrics.json), the page (evaluation.html) and the texts.
    config
        TOML file with the settings; its kinds are what is written.
    model
        A folder, a hub id, or a bundled name.
    users
        Compare this many users instead of 150.
    quick
        A few users and texts, to see that everything runs: nothing to believe.
    real_texts_only
        Generate nothing; tell how well each scorer knows the users' real texts.
    compare_slots
        Also compare ways of showing a user's history in the prompt.
    """
    from dataclasses import replace

    from personalm.evaluation.folder import evaluate_into
    from personalm.evaluation.plan import QUICK, Plan
    from personalm.settings import load_settings

    plan = replace(
        QUICK if quick else Plan(),
        real_texts_only=real_texts_only,
        compares_slots=compare_slots and not real_texts_only,
    )
    if users is not None:
        plan = replace(plan, num_people=users)
    settings = load_settings(config, model=model)
    with make_progress() as progress:
        headline = evaluate_into(output, settings, plan=plan, progress=progress)
    print(headline)
    print(f"read {output / 'evaluation.html'} and {output / 'metrics.json'}")
    return 0
