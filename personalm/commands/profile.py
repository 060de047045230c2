"""`personalm profile`: what the program takes a user's style to be."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from personalm.commands.arguments import Config, Output
from personalm.visible import visible_line


def profile(
    user: str,
    *,
    config: Config = None,
    output: Output = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show how a user writes, as the program sees it, and what it knows that from.

    It prints texts of the user. Whether the traits of the profile are right can be seen here;
    they are changed in the table of profiles.

    Example: `personalm profile u-maren`

    Parameters
    ----------
    user
        Id of the user in the input tables.
    config
        TOML file with the settings.
    output
        Folder of the results: the strangers' texts that a run has put aside there give the mark.
    json
        Print one JSON object.
    """
    from personalm.api import find_user_inputs, open_assembly
    from personalm.portrait import draw_portrait
    from personalm.settings import load_settings

    settings = load_settings(config, output=output)
    portrait = draw_portrait(find_user_inputs(user, settings).profile, open_assembly(settings))
    if json:
        from json import dumps

        print(dumps(portrait.to_json(), indent=2))
        return 0
    for line in portrait.lines():
        print(visible_line(line))
    return 0
