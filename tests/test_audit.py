"""Laws of the audit: a known hole fails it anywhere; what nobody looked up is never called safe."""

from __future__ import annotations

import json

import pytest

from tests import audit
from tests.audit import PINS, Audit

SAFE = {"name": "jinja2", "version": "3.1.6", "vulns": []}
HOLED = {
    "name": "torch",
    "version": "2.5.0",
    "vulns": [{"id": "CVE-2025-32434", "fix_versions": ["2.6.0"], "description": "..."}],
}
UNKNOWN = {"name": "accelerate", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("found", "strict", "where_possible"),
    [
        ([SAFE], True, True),
        ([SAFE, UNKNOWN], False, True),
        ([UNKNOWN], False, True),
        ([SAFE, HOLED], False, False),
        ([HOLED, UNKNOWN], False, False),
    ],
)
def test_an_audit_passes_only_what_was_looked_up(
    found: list[dict[str, object]], *, strict: bool, where_possible: bool
) -> None:
    """Elsewhere what was not looked up is said, and a hole still fails it."""
    result = Audit.of(json.dumps({"dependencies": found, "fixes": []}))

    assert result.passes(where_possible=False) is strict
    assert result.passes(where_possible=True) is where_possible
    assert ("NOT AUDITED: 1 versions (accelerate" in result.tell()) is (UNKNOWN in found)
    assert ("torch 2.5.0: CVE-2025-32434, mended in 2.6.0" in result.tell()) is (HOLED in found)


def test_where_nothing_can_be_asked_every_pin_is_unknown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the tool breaks down before it has asked for anything; its last words are passed on."""
    monkeypatch.setattr(audit, "_COMMAND", ("-c", "raise SystemExit('no such network')"))
    pins = [line for line in PINS.read_text().splitlines() if "==" in line]

    assert audit.main([]) == 1
    assert audit.main(["--where-possible"]) == 0
    told = capsys.readouterr().out
    assert told.count(f"NOT AUDITED: {len(pins)} versions") == 2
    assert "no such network" in told


def test_the_tool_is_asked_about_every_pin() -> None:
    """And about nothing else: neither what is installed nor what pip would resolve."""
    command = " ".join(audit._COMMAND)

    assert f"--requirement {PINS}" in command
    assert {"--no-deps", "--disable-pip"} <= set(command.split())
