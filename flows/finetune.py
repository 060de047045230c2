"""The scheduler's door to training: one flow, one task, a folder and numbers in and out.

Run it without a server of your own:

    python -m flows.finetune --config examples/finetune-sample.toml --output MODEL
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from cyclopts import App
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.server import leave_page, warn_of_open_server
from personalm.finetuning import finetune as train
from personalm.settings import load_settings
from personalm.shell import run_app
from personalm.training.progress import LineTrainingProgress

app = App(
    name="python -m flows.finetune", result_action="return_value", suppress_keyboard_interrupt=False
)


@task(name="train-model", cache_policy=NO_CACHE, persist_result=False)
def train_model(
    config: str | None, output: str, method: str | None, *, replace: bool
) -> dict[str, float]:
    """Train and publish a model; a run that was interrupted goes on at its last checkpoint."""
    settings = load_settings(config, **{"training.method": method})
    trained = train(
        settings,
        Path(output),
        replaces=replace,
        command=_command(config, output, method),
        progress=LineTrainingProgress(),
    )
    perplexity, paired = trained.metrics["perplexity"], trained.metrics["paired"]
    return {
        "perplexity_before": perplexity["before"]["own"]["mean"],
        "perplexity_after": perplexity["after"]["own"]["mean"],
        **{name: interval["mean"] for name, interval in paired.items()},
    }


def _command(config: str | None, output: str, method: str | None) -> str:
    """Return the command that makes the model again."""
    given = {"--config": config, "--method": method, "--output": output}
    options = [part for name, value in given.items() if value for part in (name, value)]
    return shlex.join(["python", "-m", "flows.finetune", *options])


@flow(name="finetune", persist_result=False, validate_parameters=True)
def finetune(
    output: str,
    config: str | None = None,
    method: Literal["lora", "full", "scratch"] | None = None,
    replace: bool = False,  # noqa: FBT001, FBT002 - Prefect hands parameters over by name
) -> dict[str, float]:
    """Teach a model how the users write, measure it, and publish it as a folder."""
    warn_of_open_server()
    figures = train_model(config, output, method, replace=replace)
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in figures.items())
    leave_page(
        "finetune",
        f"| measure | value |\n|---|---|\n{rows}",
        description="Held-out measures of the trained model",
    )
    return figures


@app.default
def command(
    *,
    output: str,
    config: str | None = None,
    method: Literal["lora", "full", "scratch"] | None = None,
    replace: bool = False,
) -> int:
    """Run the flow once, with a temporary Prefect server unless PREFECT_API_URL names one.

    Example: `python -m flows.finetune --config examples/finetune-sample.toml --output MODEL`

    Parameters
    ----------
    output
        Folder of the model.
    config
        TOML file with the settings.
    method
        An adapter beside the model, all of its weights, or a new GPT-2.
    replace
        Replace a model that was published there before.
    """
    finetune(output=output, config=config, method=method, replace=replace)
    return 0


if __name__ == "__main__":
    run_app(app)
