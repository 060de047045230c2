"""A diagnosis on a terminal: tables for people, as wide as the screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.inputs.report import Effect
from personalm.records import Reason
from personalm.visible import visible, visible_line

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

    from personalm.doctor.diagnosis import Census, Diagnosis, Problem
    from personalm.inputs.report import Finding

_WIDTH = 140
"""Columns of an output that is no terminal."""
_MAX_LANGUAGES = 8
_GRAVITY = tuple(
    Effect(name) for name in ("skipped", "dropped", "missing", "changed", "kept", "unused", "cast")
)
_REMEDIES = {
    Reason.UNKNOWN_KIND: "Name a kind that has a template, or add templates/KIND.j2.",
    Reason.UNKNOWN_ITEM: "Add the items, or take the requests out.",
    Reason.UNKNOWN_VOICE: "Add texts or a profile of the voice, or take voice_id out.",
    Reason.MISSING_INPUT: "Fill in what the template of the kind needs.",
    Reason.NO_SUBJECT: "Name items in inputs.items, or give the users requests.",
    Reason.LANGUAGE_NOT_SUPPORTED: "Name a model that writes the language, in model.",
}


def show(diagnosis: Diagnosis) -> None:
    """Print a diagnosis: what was read, what was found, who is there, what is wanted, a verdict."""
    from rich.console import Console  # noqa: PLC0415 - `--help` need not load it

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    if diagnosis.report.num_rows:
        rows = ", ".join(f"{count:,} {table}" for table, count in diagnosis.report.num_rows)
        _say(console, f"read {rows}")
    if diagnosis.report.findings:
        console.print(_findings(diagnosis.report.findings))
    if diagnosis.census:
        console.print(_counts("users", _people(diagnosis.census)))
        if diagnosis.census.is_planned:
            console.print(_counts("requests", _wishes(diagnosis.census)))
    for problem in diagnosis.problems:
        _say(console, _describe(problem))
    _say(console, _verdict(diagnosis))


def _findings(findings: Iterable[Finding]) -> Table:
    table = _table(
        "what happened to values", "column", "file", "", "count", "row", "what", "remedy"
    )
    for finding in sorted(findings, key=lambda f: _GRAVITY.index(f.effect)):
        _add(
            table,
            finding.subject,
            Path(finding.file).name if finding.file else "",
            finding.effect,
            f"{finding.count:,}",
            "" if finding.first_row is None else str(finding.first_row),
            finding.what,
            finding.remedy or "",
        )
    return table


def _people(census: Census) -> Iterable[tuple[str, int, str]]:
    yield "users", census.num_users, ""
    yield "texts of theirs", census.num_texts, ""
    for name in ("0", "1-4", "5-19", "20+"):
        yield f"with {name} texts", census.tiers[name], ""
    yield from _languages(census.languages)
    yield "opted out", census.num_opted_out, "They get nothing; what was published is withdrawn."
    yield "without a profile", census.num_without_profile, ""
    yield "without any history", census.num_without_history, ""


def _languages(languages: Counter[str]) -> Iterable[tuple[str, int, str]]:
    common = languages.most_common(_MAX_LANGUAGES)
    for language, count in common:
        yield f"writing {language}", count, ""
    others = languages.total() - sum(count for _, count in common)
    if others:
        yield "writing other languages", others, ""


def _wishes(census: Census) -> Iterable[tuple[str, int, str]]:
    yield "requests", census.num_requests, ""
    for kind, count in sorted(census.kinds.items()):
        yield f"for a {kind}", count, ""
    remedy = _REMEDIES[Reason.UNKNOWN_KIND]
    yield "for kinds without a template", census.num_for_unknown_kinds, remedy
    yield "that a run would write", census.num_to_write, ""
    for reason, count in census.rejections.most_common():
        yield f"rejected: {reason}", count, _REMEDIES.get(Reason(reason), "")
    yield "not served: opted out", census.num_refused_by_opt_out, ""
    yield "of users in no other table", census.num_for_unknown_users, "Check the ids."
    yield "of threads without a turn", census.num_for_unknown_threads, "Check the thread ids."


def _counts(title: str, rows: Iterable[tuple[str, int, str]]) -> Table:
    table = _table(title, "", "count", "remedy")
    for name, count, remedy in rows:
        if count:
            _add(table, name, f"{count:,}", remedy)
    return table


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table  # noqa: PLC0415 - `--help` need not load it

    table = Table(title=title, title_justify="left")
    for column in columns:
        is_number = column in {"count", "row"}
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    from rich.text import Text  # noqa: PLC0415 - `--help` need not load it

    # A `Text` has no markup: brackets in the name of a column stay brackets.
    table.add_row(*(Text(visible_line(cell)) for cell in cells))


def _describe(problem: Problem) -> str:
    places = (("file", problem.file), ("column", problem.column), ("row", problem.row))
    place = ", ".join(f"{name} {value}" for name, value in places if value is not None)
    remedy = f"\n  {problem.remedy}" if problem.remedy else ""
    return f"refused: {place + ': ' if place else ''}{problem.message}{remedy}"


def _verdict(diagnosis: Diagnosis) -> str:
    if not diagnosis.would_run:
        number = len(diagnosis.problems)
        return f"a run would be refused: {number} problem{'s' if number > 1 else ''}"
    census = diagnosis.census
    if census and census.rejections:
        number = census.rejections.total()
        return f"a run would work, and reject {number:,} of {census.num_requests:,} requests"
    return "a run would work"


def _say(console: Console, text: str) -> None:
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)
