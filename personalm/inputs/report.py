"""What reading the inputs came across: rows read, and everything done to rows, values and files.

This is the one place where reading counts what it did. A report holds names of tables, files and
columns, numbers of rows, words of ours and counts; nothing of any user.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from personalm.inputs.place import Place


class Effect(StrEnum):
    """What became of the rows, values, columns or files that a finding counts."""

    CAST = "cast"
    """Values were turned into the contract's type, and mean the same."""
    KEPT = "kept"
    """Values were kept as they are, and may not be what was meant."""
    CHANGED = "changed"
    """Values were changed: a part of each is lost."""
    MISSING = "missing"
    """Values count as missing: none of each is left."""
    DROPPED = "dropped"
    """Rows are left out."""
    UNUSED = "unused"
    """A column is not read: nothing in the contract asks for it."""
    SKIPPED = "skipped"
    """A damaged file is left out."""


_QUIET = frozenset({Effect.CAST, Effect.UNUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that happened to `count` rows or values, in words.

    `column` is named as in the file. `file` is None for what is told of a table as a whole, and
    `first_row`, counted from 0, is None where no row of a file can be named.
    """

    table: str
    file: str | None
    column: str | None
    effect: Effect
    what: str
    count: int
    first_row: int | None = None
    remedy: str | None = None

    @property
    def subject(self) -> str:
        """Name the table and the column."""
        return self.table if self.column is None else f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReport:
    """Rows read of each table, and the findings, ordered by table, file and column."""

    num_rows: tuple[tuple[str, int], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def skipped(self) -> tuple[Finding, ...]:
        """Damaged files that were left out."""
        return tuple(f for f in self.findings if f.effect is Effect.SKIPPED)

    def lines(self) -> tuple[str, ...]:
        """Say in words what an operator should know, one line a thing, files taken together.

        Plain casts and columns that nobody asked for are not among them.
        """
        rows = ", ".join(f"{count:,} {table}" for table, count in self.num_rows)
        counts: Counter[tuple[str, str]] = Counter()
        for finding in self.findings:
            if finding.effect not in _QUIET | {Effect.SKIPPED}:
                counts[finding.subject, finding.what] += finding.count
        found = (f"{subject}: {count:,} {what}" for (subject, what), count in counts.items())
        return ((f"read {rows}",) if rows else ()) + tuple(found) + self.skipped_lines()

    def skipped_lines(self) -> tuple[str, ...]:
        """Say which files were left out, and why, one line a file."""
        return tuple(f"{f.table}: skipped {f.file}: {f.what}" for f in self.skipped)

    def count_of(self, table: str, column: str, effect: Effect | None = None) -> int:
        """Return how many rows or values of a column something was found about, casts aside."""
        return sum(
            finding.count
            for finding in self.findings
            if (finding.table, finding.column) == (table, column)
            and (finding.effect is effect if effect else finding.effect not in _QUIET)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "num_rows": [list(pair) for pair in self.num_rows],
            "findings": [asdict(finding) for finding in self.findings],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> InputReport:
        """Return the report of which `to_json` gave the values."""
        return cls(
            num_rows=tuple((str(table), int(count)) for table, count in values["num_rows"]),
            findings=tuple(
                Finding(**finding | {"effect": Effect(finding["effect"])})
                for finding in values["findings"]
            ),
        )


class Tally:
    """The running counts of one table, while it is read."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.num_rows = 0
        self._found: dict[tuple[str | None, str | None, Effect, str], Finding] = {}

    def add(
        self,
        effect: Effect,
        what: str,
        count: int,
        *,
        file: str | None = None,
        column: str | None = None,
        first_row: int | None = None,
        remedy: str | None = None,
    ) -> None:
        """Add to a finding; nothing is noted where nothing was found."""
        if not count:
            return
        key = file, column, effect, what
        known = self._found.get(key)
        self._found[key] = (
            replace(known, count=known.count + count)
            if known
            else Finding(
                table=self.table,
                file=file,
                column=column,
                effect=effect,
                what=what,
                count=count,
                first_row=first_row,
                remedy=remedy,
            )
        )

    def mark(
        self,
        place: Place,
        flags: pa.Array[Any],
        effect: Effect,
        what: str,
        *,
        remedy: str | None = None,
    ) -> int:
        """Add the values of a place whose flag is true; return how many there are."""
        count = count_true(flags)
        if count:
            index = pc.index(flags, True).as_py()
            self.add(
                effect,
                what,
                count,
                file=place.file,
                column=place.column,
                first_row=place.row(index),
                remedy=remedy,
            )
        return count

    @property
    def findings(self) -> Iterable[Finding]:
        """What was found so far."""
        return self._found.values()


def count_true(flags: pa.Array[Any]) -> int:
    """Return how many flags are true; nulls are not."""
    return int(pc.sum(flags).as_py() or 0)


def make_report(tallies: Iterable[Tally], *, unread: Iterable[Tally] = ()) -> InputReport:
    """Return the report of the tables that were read, and of those only looked at."""
    tallies = tuple(tallies)
    return InputReport(
        num_rows=tuple((tally.table, tally.num_rows) for tally in tallies),
        findings=tuple(sorted((f for t in (*tallies, *unread) for f in t.findings), key=_order)),
    )


def join_reports(*reports: InputReport) -> InputReport:
    """Return one report of tables that were read apart; what both tell is told once."""
    return InputReport(
        num_rows=tuple(pair for report in reports for pair in report.num_rows),
        findings=tuple(sorted({f for report in reports for f in report.findings}, key=_order)),
    )


def _order(finding: Finding) -> tuple[str, ...]:
    return (
        finding.table,
        finding.file or "",
        finding.column or "",
        finding.effect,
        finding.what,
    )
