"""The audit: which pinned versions have known holes, and which nobody could be asked about.

    python -m tests.audit [--where-possible]           # or: make audit

What is not in the database, or cannot be asked, is not without holes: the audit fails. With
`--where-possible` it says so and passes, for machines that reach no database; a version with a
known hole fails always.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PINS = Path(__file__).parent.parent / "constraints.txt"

# Without dependencies: every one of them has its pin.
_COMMAND = (
    *("-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
    *("--no-deps", "--disable-pip", "--requirement", str(PINS)),
)
_PATIENCE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the database says: versions looked up, their holes, and names it does not know.

    `trouble` says why it could not be asked at all.
    """

    num_audited: int
    holes: tuple[str, ...]
    unknown: tuple[str, ...]
    trouble: str = ""

    @classmethod
    def of(cls, report: str) -> Audit:
        """Read the report of pip-audit. Raises ValueError for what is none."""
        found = json.loads(report)["dependencies"]
        known = [each for each in found if "skip_reason" not in each]
        return cls(
            num_audited=len(known),
            holes=tuple(
                f"{each['name']} {each['version']}: {hole['id']}, mended in "
                f"{', '.join(hole['fix_versions']) or 'no version'}"
                for each in known
                for hole in each["vulns"]
            ),
            unknown=tuple(each["name"] for each in found if "skip_reason" in each),
        )

    def passes(self, *, where_possible: bool) -> bool:
        """Say whether the pins may be used."""
        return not self.holes and (where_possible or not self.unknown)

    def tell(self) -> str:
        """Return it in words."""
        lines = [f"audit: {self.num_audited} pinned versions looked up, {len(self.holes)} holes"]
        lines += self.holes
        if self.unknown:
            why = self.trouble or "the database does not know them, or cannot be reached"
            names = ", ".join(self.unknown[:3])
            lines.append(f"NOT AUDITED: {len(self.unknown)} versions ({names}, ...); {why}")
        return "\n".join(lines)


def audit(options: list[str]) -> Audit:
    """Ask the database; where it cannot be asked, nothing is known of any pin."""
    command = [sys.executable, *_COMMAND, *options]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return _ask_nobody(f"no answer within {_PATIENCE_S} s")
    try:
        return Audit.of(answer.stdout)
    except (ValueError, KeyError):
        return _ask_nobody((answer.stderr.strip() or "no report").splitlines()[-1])


def _ask_nobody(trouble: str) -> Audit:
    lines = PINS.read_text(encoding="utf-8").splitlines()
    pins = tuple(line.partition("==")[0] for line in lines if "==" in line)
    return Audit(num_audited=0, holes=(), unknown=pins, trouble=trouble)


def main(arguments: list[str]) -> int:
    """Audit the pins; return an exit code. Other arguments are pip-audit's own."""
    where_possible = "--where-possible" in arguments
    found = audit([each for each in arguments if each != "--where-possible"])
    print(found.tell())
    return 0 if found.passes(where_possible=where_possible) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
