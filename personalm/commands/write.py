"""`personalm preview` and `personalm generate`: texts to look at; nothing is stored."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from personalm.commands.arguments import A_NUMBER, Config
from personalm.progress import make_progress
from personalm.shell import REJECTED_SOME
from personalm.visible import visible


def preview(
    *,
    config: Config = None,
    model: str | None = None,
    users: Annotated[int, Parameter(validator=A_NUMBER)] = 5,
    kind: str | None = None,
) -> int:
    """Show prompts, candidates and scores of a few users; nothing is written to the output.

    Example: `personalm preview --config personalm.toml --users 5`

    Parameters
    ----------
    config
        TOML file with the settings.
    model
        A folder, a hub id, or a bundled name.
    users
        How many users to show.
    kind
        Show requests of this kind only.
    """
    from personalm.preview import print_preview
    from personalm.settings import load_settings

    settings = load_settings(config, model=model)
    with make_progress() as progress:
        print_preview(settings, num_users=users, kind=kind, progress=progress)
    return 0


def generate(
    user: str,
    *,
    kind: str = "post",
    subject: str | None = None,
    subject_id: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    model: str | None = None,
    config: Config = None,
    show_candidates: Annotated[bool, Parameter(name="--candidates", negative=())] = False,
) -> int:
    """Write one text for one user and print it.

    Examples:
    - `personalm generate u-maren`
    - `personalm generate u-maren --kind post --subject "a leaking tap" --candidates`

    Parameters
    ----------
    user
        Id of the user in the input tables.
    kind
        Kind of text, the name of a template.
    subject
        What to write about: a topic, a source passage or an incoming message.
    subject_id
        An item of the catalogue to write about.
    n
        Number of candidates.
    seed
        Another seed gives other texts.
    model
        A folder, a hub id, or a bundled name.
    config
        TOML file with the settings.
    show_candidates
        Also print every candidate with its score and the gate that dropped it.
    """
    from personalm.api import generate_for

    generation = generate_for(
        user,
        kind,
        subject=subject,
        subject_id=subject_id,
        n=n,
        seed=seed,
        model=model,
        config=config,
    )
    if show_candidates:
        from personalm.preview import print_candidates

        print_candidates(generation.candidates, generation.provenance.get("chosen"))
    if generation.text is None:
        print(visible(generation.reason), file=sys.stderr)
        return REJECTED_SOME
    print(visible(generation.text))
    return 0
