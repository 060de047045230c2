"""The lower bounds that keep known holes out stand in one place, each with its hole."""

from __future__ import annotations

import os
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(TEXT)["project"]
BOUNDS = {
    requirement.name: requirement for requirement in map(Requirement, PROJECT["dependencies"])
}
EXTRAS = [
    Requirement(text) for name in ("s3", "train") for text in PROJECT["optional-dependencies"][name]
]

# The first version without the hole, and what the hole is called.
HOLES = [
    ("jinja2", "3.1.6", "CVE-2025-27516"),
    ("torch", "2.6.0", "CVE-2025-32434"),
    ("transformers", "5.3.0", "CVE-2026-5241"),
    ("pyarrow", "14.0.1", "CVE-2023-47248"),
    ("sentence-transformers", "6.0.0", "modules.json"),
    ("prefect", "3.6.28", "CVE-2026-7723"),
]


@pytest.mark.parametrize(("name", "mended", "hole"), HOLES)
def test_no_version_with_a_known_hole_can_be_installed(name: str, mended: str, hole: str) -> None:
    """The bound refuses it, and says beside it why."""
    lower = [Version(s.version) for s in BOUNDS[name].specifier if s.operator == ">="]
    line = next(line for line in TEXT.splitlines() if line.strip().startswith(f'"{name}>='))

    assert lower
    assert max(lower) >= Version(mended)
    assert hole in line


@pytest.mark.parametrize("name", BOUNDS)
def test_every_dependency_has_a_lower_bound_that_the_tests_run_with(name: str) -> None:
    """And every version that is tested together is pinned."""
    pins = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    )
    pinned = {key.lower().replace("_", "-"): value for key, value in pins.items()}

    assert [s for s in BOUNDS[name].specifier if s.operator == ">="]
    assert BOUNDS[name].specifier.contains(pinned[name.lower()])
    assert BOUNDS[name].specifier.contains(version(name).partition("+")[0])


@pytest.mark.skipif(
    "LOWEST_VERSIONS" not in os.environ, reason="make oldest installs the lowest versions"
)
@pytest.mark.parametrize("requirement", [*BOUNDS.values(), *EXTRAS], ids=lambda r: r.name)
def test_make_oldest_tests_with_the_bound_itself(requirement: Requirement) -> None:
    """A bound below what the others ask for would promise what nobody has ever run."""
    (lower,) = [s.version for s in requirement.specifier if s.operator == ">="]

    assert Version(version(requirement.name).partition("+")[0]) == Version(lower)


def test_the_bounds_stand_in_one_place() -> None:
    """No other file of the project asks for another version."""
    for path in (ROOT / "README.md", ROOT / "Makefile", *(ROOT / "docs").glob("*.md")):
        if path.exists():
            assert not re.search(r"(jinja2|torch|transformers|pyarrow)\s*>=", path.read_text())
