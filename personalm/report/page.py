"""Write one page with every live text of an output folder.

The page is self-contained: no script, no font and no picture from elsewhere. Everything that came
from a user or a model is escaped. It knows the store, not how the texts were made.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

from personalm.pages import open_page
from personalm.places import locate_here
from personalm.records import Key
from personalm.settings import Selection
from personalm.store.files import LocalFiles
from personalm.store.reading import read_snapshot, status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

Row: TypeAlias = dict[str, Any]


def write_report(output: Path, target: Path, *, subjects: Mapping[Key, str] | None = None) -> None:
    """Write the report of an output folder to an HTML file.

    `subjects` gives a readable subject for keys whose subject id is not one.
    """
    target = locate_here(target, "a report")
    files = LocalFiles()
    page = render_report(output, subjects=subjects or {})
    files.make_folder(target.parent)
    files.replace(target, page.encode())


def render_report(output: Path, *, subjects: Mapping[Key, str]) -> str:
    """Return the page as text."""
    snapshot, tables = read_snapshot(output)
    results, drawn, rejections = (
        _rows_of(tables[name], subjects) for name in ("results", "candidates", "rejections")
    )
    candidates: dict[Key, list[Row]] = {}
    for row in drawn:
        candidates.setdefault(row["key"], []).append(row)
    for row in results:
        row["candidates"] = candidates.get(row["key"], [])
        row["why_not"] = _why_not(row)
        row["way"] = _way(row["style_score"], row["own_mark"])
    page = open_page(__package__, number=_number, short=_short)
    scored = [r for r in results if None not in (r["style_score"], r["own_mark"])]
    dropped = Counter(
        row["dropped_by"] for rows in candidates.values() for row in rows if row["dropped_by"]
    )
    return page.render(
        state={**status(output), "snapshot": snapshot},
        results=results,
        rejections=rejections,
        kinds=Counter(row["kind"] for row in results),
        models=sorted(set(map(name_writer, results))),
        num_users=len({row["user_id"] for row in results}),
        num_candidates=sum(len(rows) for rows in candidates.values()),
        dropped=dropped.most_common(),
        scores=[row["style_score"] for row in scored],
        marks=[row["own_mark"] for row in scored],
    )


def name_writer(row: Row) -> str:
    """Return the name of the model that wrote a result, and that of its adapter's folder."""
    adapter = row["adapter"]
    return f"{row['model']} with {PurePath(adapter).name}" if adapter else str(row["model"])


def _rows_of(table: pa.Table, subjects: Mapping[Key, str]) -> list[Row]:
    rows: list[Row] = table.to_pylist()
    for row in rows:
        key = Key(user_id=row["user_id"], kind=row["kind"], subject_id=row["subject_id"])
        row["key"] = key
        row["subject"] = subjects.get(key, key.subject_id)
    return sorted(rows, key=lambda row: (row["key"], row.get("number", 0)))


def _why_not(row: Row) -> str | None:
    """Say why a result has no style score, as far as the row tells; None where it has one."""
    mark = row["own_mark"]
    if row["style_score"] is not None:
        return None
    if mark is None:
        is_little = row["tier"] in {"0", "1-4"}
        return "too little own writing" if is_little else "too few texts to compare with"
    if mark < Selection().min_own_mark:
        return f"own texts reach {mark:.1f} only"
    # What the run was set to ask for is not in the row.
    return (
        f"own texts reach {mark:.1f}; less than was asked, or the text is too short, "
        "or too few strangers' texts are as long"
    )


def _way(score: float | None, mark: float | None) -> int:
    """Return how far a score is on its way from a stranger's to the own mark, in percent."""
    return round(100 * min(max(score / mark, 0.0), 1.0)) if score and mark and mark > 0 else 0


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
