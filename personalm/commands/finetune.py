"""`personalm finetune`: train a model on the users' texts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from personalm.commands.arguments import Config

if TYPE_CHECKING:
    from personalm.finetuning import Trained


def finetune(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    config: Config = None,
    method: Literal["lora", "full", "scratch"] | None = None,
    model: str | None = None,
    epochs: int | None = None,
    max_hours: float | None = None,
    max_users: int | None = None,
    seed: int | None = None,
    replace: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Teach a model how the users write, measure it, and publish it as a folder.

    Examples are made by the templates of a run: earlier texts and a subject in, the text that the
    user really wrote next out. The newest texts are held out and measured. An interrupted training
    is resumed by the same command. Further settings: [training] and [scratch] of the TOML file.

    Examples:
    - `personalm finetune --config examples/finetune-sample.toml --output MODEL`
    - `personalm run --config examples/finetune-sample.toml --model MODEL --output OUT`
    - `personalm finetune --config examples/finetune-sample.toml --method scratch --output MODEL`

    Parameters
    ----------
    output
        Folder of the model; it is there whole or not at all.
    config
        TOML file with the settings.
    method
        An adapter beside the model, all of its weights, or a new GPT-2.
    model
        The model to start from: a folder, a hub id, or a bundled name.
    epochs
        How often every text is learned.
    max_hours
        Time for the steps of training; measuring comes on top.
    max_users
        Learn from so many users at most.
    seed
        Another seed gives other weights.
    replace
        Replace a model that was published there before.
    """
    from personalm.finetuning import finetune as train
    from personalm.settings import load_settings
    from personalm.training.progress import make_training_progress

    overrides: dict[str, Any] = {
        "model": model,
        "seed": seed,
        "training.method": method,
        "training.epochs": epochs,
        "training.max_hours": max_hours,
        "training.max_users": max_users,
    }
    settings = load_settings(config, **overrides)
    with make_training_progress() as progress:
        trained = train(
            settings,
            output,
            replaces=replace,
            command=shlex.join(["personalm", *sys.argv[1:]]),
            progress=progress,
        )
    _print(trained)
    return 0


def _print(trained: Trained) -> None:
    from personalm.training.card import describe_interval

    metrics = trained.metrics
    print(f"model published: {trained.folder}")
    for history in metrics["perplexity"]["after"]:
        before, after = (
            describe_interval(metrics["perplexity"][side][history]) for side in ("before", "after")
        )
        print(f"  perplexity, history {history}: {before} before, {after} after")
    for name, interval in metrics["paired"].items():
        print(f"  {name}: {describe_interval(interval)} nats a token")
    if trained.leaks["measured"]:
        once = trained.leaks["after"]["1"]
        print(
            f"  secrets planted once: {once['exposure']:.1f} bits of exposure "
            f"(limit {trained.leaks['max_exposure']:.1f}), {once['extracted']:.0%} completed"
        )
    else:
        print("  leaks were not measured: training.canaries is 0")
