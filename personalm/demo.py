"""The main job on the sample data, as a newcomer meets it: flow, table, report.

It needs a clone: sample data and flows lie beside the package, not in it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from personalm import bundled
from personalm.errors import SettingsError
from personalm.forecasting import open_plans
from personalm.generation.adapters import is_adapter, read_adapter
from personalm.records import Key
from personalm.report.page import name_writer, write_report
from personalm.settings import load_settings
from personalm.store.reading import read_table
from personalm.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.settings import Settings

_CLONE = Path(__file__).parent.parent


def run_demo(folder: Path, config: Path | None) -> int:
    """Run the flow, print every text and write the report; return the flow's exit code."""
    config = config or _CLONE / "personalm.toml"
    if not (_CLONE / "flows").is_dir() or not config.is_file():
        raise SettingsError(
            "the demo needs a clone of the project: sample data and flows are not in the wheel",
            remedy="Clone it and call `make demo` there.",
        )
    output = folder / "results"
    settings = load_settings(config, output=output)
    _prepare_models(settings)
    flow = [sys.executable, "-m", "flows.generate_content", "--config", str(config.resolve())]
    process = subprocess.run([*flow, "--output", str(output.resolve())], cwd=_CLONE, check=False)  # noqa: S603 - our own module
    if process.returncode not in {0, 3}:
        return process.returncode
    subjects = _name_subjects(settings)
    _print_table(output, subjects)
    report = folder / "report.html"
    write_report(output, report, subjects=subjects)
    print(f"\nresults: {output}\nreport:  {report}")
    return process.returncode


def _prepare_models(settings: Settings) -> None:
    """Unpack the bundled models before the clock of the run starts, and say so."""
    folder = Path(settings.model)
    base = read_adapter(folder).base if is_adapter(folder) else settings.model
    for name in (base, settings.selection.embedder):
        if name.startswith(bundled.PREFIX) and not bundled.is_prepared(name):
            bundled.prepare(name, on_progress=lambda line: print(line, file=sys.stderr))


def _name_subjects(settings: Settings) -> dict[Key, str]:
    """Return a readable subject for every request."""
    with open_plans(settings) as (_, plans):
        requests = [task.request for plan in plans for unit in plan.units for task in unit.tasks]
    return {r.key: r.item.title if r.item else r.subject or r.subject_id for r in requests}


def _print_table(output: Path, subjects: Mapping[Key, str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only the demo prints a table
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table("user", "kind", "subject", "text", "cosine", "model", show_lines=True)
    rows = read_table(output).to_pylist()
    for row in sorted(rows, key=lambda r: (r["user_id"], r["kind"], r["subject_id"])):
        key = Key(user_id=row["user_id"], kind=row["kind"], subject_id=row["subject_id"])
        cosine = row["style_cosine"]
        cells = (
            row["user_id"],
            row["kind"],
            subjects.get(key, key.subject_id)[:60],
            row["text"],
            "–" if cosine is None else f"{cosine:.2f}",
            name_writer(row),
        )
        # A `Text` has no markup: brackets that a user typed stay brackets.
        table.add_row(*(Text(visible(cell)) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
