"""What reading the inputs came across: rows read, rows dropped, values that were no values.

A report holds names of tables and columns, words of ours and counts; nothing of any user.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """Something that happened to `count` rows or values of a column, in words."""

    table: str
    column: str
    what: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReport:
    """Rows read of each table, and the findings, in the order of their names."""

    num_rows: tuple[tuple[str, int], ...] = ()
    findings: tuple[Finding, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Say it in words, one line a thing."""
        rows = ", ".join(f"{count:,} {table}" for table, count in self.num_rows)
        found = (f"{f.table}.{f.column}: {f.count:,} {f.what}" for f in self.findings)
        return ((f"read {rows}",) if rows else ()) + tuple(found)

    def count_of(self, table: str, column: str) -> int:
        """Return how many rows or values of a column something was found about."""
        return sum(f.count for f in self.findings if (f.table, f.column) == (table, column))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "num_rows": [list(pair) for pair in self.num_rows],
            "findings": [[f.table, f.column, f.what, f.count] for f in self.findings],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> InputReport:
        """Return the report of which `to_json` gave the values."""
        return cls(
            num_rows=tuple((str(table), int(count)) for table, count in values["num_rows"]),
            findings=tuple(
                Finding(table=table, column=column, what=what, count=count)
                for table, column, what, count in values["findings"]
            ),
        )


class Tally:
    """The running counts of one table, while it is read."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.num_rows = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, column: str, what: str, number: int = 1) -> None:
        """Add to the count of a finding; nothing is noted where nothing was found."""
        if number:
            self._counts[column, what] += number

    @property
    def findings(self) -> Iterable[Finding]:
        """What was found so far."""
        for (column, what), count in self._counts.items():
            yield Finding(table=self.table, column=column, what=what, count=count)


def make_report(tallies: Iterable[Tally]) -> InputReport:
    """Return the report of the tables that were read."""
    tallies = tuple(tallies)
    return InputReport(
        num_rows=tuple((tally.table, tally.num_rows) for tally in tallies),
        findings=tuple(sorted(f for tally in tallies for f in tally.findings)),
    )
