"""The scheduler's door to an evaluation: one flow, one task, figures out.

The task is handed paths and numbers and gives back a sentence and counts. Run it without a server
of your own:

    python -m flows.evaluate --config personalm.toml --output EVALUATION --quick
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cyclopts import App
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.server import leave_page, warn_of_open_server
from personalm.evaluation.folder import evaluate_into
from personalm.evaluation.plan import QUICK, Plan
from personalm.progress import make_progress
from personalm.settings import load_settings
from personalm.shell import run_app

app = App(
    name="python -m flows.evaluate",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


@task(name="evaluate-texts", cache_policy=NO_CACHE, persist_result=False)
def evaluate_texts(
    config: str | None, output: str, model: str | None, users: int | None, *, quick: bool
) -> str:
    """Write figures and page into a folder; return the headline."""
    plan = QUICK if quick else Plan()
    if users is not None:
        plan = replace(plan, num_people=users)
    with make_progress() as progress:
        headline = evaluate_into(
            Path(output), load_settings(config, model=model), plan=plan, progress=progress
        )
        progress.note(headline)
    return headline


@flow(name="evaluate", persist_result=False, validate_parameters=True)
def evaluate(
    output: str,
    config: str | None = None,
    model: str | None = None,
    users: int | None = None,
    quick: bool = False,  # noqa: FBT001, FBT002 - Prefect hands parameters over by name
) -> dict[str, object]:
    """Tell how much texts sound like the users they are written for."""
    warn_of_open_server()
    headline = evaluate_texts(config, output, model, users, quick=quick)
    leave_page("evaluate", headline, description="Headline")
    return {"headline": headline, "output": output}


@app.default
def command(
    *,
    output: str,
    config: str | None = None,
    model: str | None = None,
    users: int | None = None,
    quick: bool = False,
) -> int:
    """Run the flow once, with a temporary Prefect server unless PREFECT_API_URL names one.

    Example: `python -m flows.evaluate --config personalm.toml --output EVALUATION --quick`

    Parameters
    ----------
    output
        Folder of the figures, the page and the texts.
    config
        TOML file with the settings.
    model
        A folder, a hub id, or a bundled name.
    users
        Compare this many users instead of 150.
    quick
        A few users and texts, to see that everything runs.
    """
    evaluate(output=output, config=config, model=model, users=users, quick=quick)
    return 0


if __name__ == "__main__":
    run_app(app)
