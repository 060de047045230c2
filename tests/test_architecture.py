"""Laws of the structure: imports point one way, and doors open without the heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "personalm"
BASE = {
    "records",
    "settings",
    "errors",
    "disks",
    "hashing",
    "pages",
    "kinds",
    "bundled",
    "terms",
    "accounts",
    "configuration",
    "foreign",
    "places",
    "remote",
    "resampling",
    "visible",
    "discreet",
    "drawing",
    "breaker",
    "languages",
}
ROOMS = {"inputs", "planning", "prompting", "generation", "selection", "store"}
HEAVY = ("torch", "transformers", "sentence_transformers", "prefect")


def imported_by(path: Path) -> set[str]:
    """Return the names directly below personalm that a module imports, wherever it does so."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "personalm":
                names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("personalm.")
            }
    return names


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_the_base_and_itself_alone(room: str) -> None:
    """No room looks into another; the pipeline wires them."""
    for path in sorted((PACKAGE / room).rglob("*.py")):
        assert imported_by(path) <= BASE | {room}, path


def test_training_stands_above_the_rooms_and_below_the_doors() -> None:
    """It uses the rooms' own code, so that what is learned is what is asked; no loop, no door."""
    for path in sorted((PACKAGE / "training").rglob("*.py")):
        assert imported_by(path) <= BASE | ROOMS | {"training"}, path


@pytest.mark.parametrize("module", sorted(BASE))
def test_the_base_imports_nothing_but_the_base(module: str) -> None:
    """Records, settings and errors stand at the bottom."""
    folder = PACKAGE / module
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{module}.py"]
    assert files
    for path in files:
        assert imported_by(path) <= BASE, path


def test_no_selector_imports_a_judge() -> None:
    """Whoever chooses by a judge makes its verdict worthless: judges belong to the evaluation."""
    for path in sorted((PACKAGE / "selection").rglob("*.py")):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        named = [n.module or "" for n in tree if isinstance(n, ast.ImportFrom)]
        assert "evaluation" not in imported_by(path), path
        assert not [name for name in named if "judge" in name], path


def test_no_text_is_chosen_by_what_judges_it() -> None:
    """Rooms, pipeline and assembly know no evaluation: its judges prove nothing otherwise."""
    doors = {PACKAGE / "commands" / "evaluate.py"}
    for path in sorted(set(PACKAGE.rglob("*.py")) - doors):
        if path.parent.name != "evaluation":
            assert "evaluation" not in imported_by(path), path


def test_judges_are_no_selectors() -> None:
    """Neither judge is built on what selection goes by, and no selector knows a judge."""
    judges = PACKAGE / "evaluation" / "judges.py"
    modules = {
        node.module
        for node in ast.walk(ast.parse(judges.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }

    assert {name for name in modules if name and name.startswith("personalm.selection")} == {
        "personalm.selection.words"
    }


def test_nothing_in_the_package_imports_prefect() -> None:
    """Flows are a door; the pipeline does not know that they exist."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert "import prefect" not in source, path
        assert "from prefect" not in source, path
        assert "from flows" not in source, path


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import personalm"],
        ["-m", "personalm", "--help"],
        ["-m", "personalm", "run", "--help"],
        ["-m", "personalm", "evaluate", "--help"],
    ],
    ids=["import", "help", "run-help", "evaluate-help"],
)
def test_the_doors_open_without_the_heavy_libraries(arguments: list[str]) -> None:
    """Importing the package and asking for help load no model library and no scheduler."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )

    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "personalm" in loaded
    assert loaded & set(HEAVY) == set()
