"""`personalm run`: write what is missing or out of date, or count it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from personalm.commands.arguments import A_NUMBER, Config, Output, read_users
from personalm.hashing import user_digest
from personalm.progress import make_progress
from personalm.remote import RemotePath
from personalm.shell import REJECTED_SOME

if TYPE_CHECKING:
    from personalm.accounts import Counts
    from personalm.forecasting import Forecast
    from personalm.pipeline import Summary


def run(
    *,
    config: Config = None,
    output: Output = None,
    model: str | None = None,
    limit: Annotated[int | None, Parameter(name=["--limit", "-l"], validator=A_NUMBER)] = None,
    kinds: Annotated[tuple[str, ...] | None, Parameter(name="--kind", negative=())] = None,
    seed: int | None = None,
    users: str | None = None,
    retry: Literal["rejected"] | None = None,
    max_requests: Annotated[int | None, Parameter(validator=A_NUMBER)] = None,
    prune: Annotated[bool, Parameter(negative=())] = False,
    rebuild: Annotated[bool, Parameter(negative=())] = False,
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
        Serve these users only: ids with commas between them, or a file with one id a line. White
        space is a part of an id, but for what follows a comma.
    retry
        Also write what was rejected before, although nothing of it has changed.
    max_requests
        Write at most so many texts; the next run goes on with the rest.
    prune
        Withdraw live rows that no request asks for any more; without it they stay.
    rebuild
        Make anew what is made of all users together: the strangers' texts that style scores are
        measured against, and the index of other users' words that the gate `leak` asks. Where one
        of them is another then, every text that it has a say in is written again.
    dry_run
        Only count what would be written; nothing is generated and nothing changes.
    """
    from personalm import pipeline
    from personalm.accounts import Scope
    from personalm.forecasting import forecast
    from personalm.settings import load_settings

    settings = load_settings(config, output=output, model=model, kinds=kinds, seed=seed)
    scope = Scope(
        users=None if users is None else frozenset(map(user_digest, read_users([users]))),
        retries_rejected=retry == "rejected",
        prunes=prune,
        max_requests=max_requests,
    )
    if dry_run:
        with make_progress() as progress:
            expected = forecast(
                settings, limit=limit, scope=scope, rebuild=rebuild, progress=progress
            )
        _print_forecast(expected)
        return 0
    with make_progress() as progress:
        summary = pipeline.run(
            settings, limit=limit, scope=scope, rebuild=rebuild, progress=progress
        )
    _print_summary(summary, settings.output)
    return REJECTED_SOME if summary.counts.rejections else 0


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
    for line in summary.drops.lines:
        print(line)
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
