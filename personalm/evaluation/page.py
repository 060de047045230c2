"""The page of an evaluation: every figure between its floor and its ceiling, in plain words.

It is self-contained and holds no text and no id of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personalm.evaluation.headline import headline_of, show
from personalm.pages import open_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.evaluation.headline import Figures

WIDTH = 420
"""Of the drawing area of a chart, in pixels."""

_CONDITIONS = (
    ("stranger_text", "a stranger's real texts", "floor"),
    ("none", "written with no profile", "plain"),
    ("random", "written with another user's profile", "plain"),
    ("nearest", "written with the most similar user's", "plain"),
    ("own", "written with the user's own profile", "own"),
    ("real_text", "the user's own real texts", "ceiling"),
)
_LIFTS = (
    ("random", "own instead of another user's profile"),
    ("nearest", "own instead of the most similar user's"),
)
SCORERS = {
    "embedding": "sentence embedding (selects)",
    "shape": "shape of the text (selects)",
    "selectors": "both selectors",
    "cosine_delta": "cosine Delta (judges)",
    "character_grams": "character n-grams (judges)",
    "judges": "both judges",
}
_SLOTS = {
    "none": "nothing",
    "recency": "the six newest texts",
    "bm25": "the six texts nearest to the subject",
    "diverse": "six different, typical texts",
    "both": "two by subject, four different ones",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a chart; places are in pixels, those of the whisker None where there is none."""

    label: str
    look: str
    words: str
    start: float
    width: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Bars on one scale, and where its zero lies."""

    zero: float
    bars: tuple[Bar, ...]

    @classmethod
    def of(cls, rows: Sequence[tuple[str, Figures | None, str]]) -> Chart:
        """Lay out labelled figures, those that are missing left out."""
        known = [(label, figure, look) for label, figure, look in rows if figure]
        ends = [0.0, 1e-9, *(end for _, figure, _ in known for end in _ends(figure))]
        least, most = min(ends), max(ends)
        scale = WIDTH / (most - least)

        def place(value: float) -> float:
            return round((value - least) * scale, 1)

        bars = []
        for label, figure, look in known:
            left, right = sorted((0.0, figure["mean"]))
            has_whisker = figure["low"] is not None
            bars.append(
                Bar(
                    label=label,
                    look=look,
                    words=show(figure),
                    start=place(left),
                    width=round(max(place(right) - place(left), 1.0), 1),
                    low=place(figure["low"]) if has_whisker else None,
                    high=place(figure["high"]) if has_whisker else None,
                )
            )
        return cls(zero=place(0.0), bars=tuple(bars))


def render_page(metrics: Figures) -> str:
    """Return the page as HTML."""
    return open_page(__package__, figure=show).render(
        m=metrics,
        headline=headline_of(metrics),
        is_written="swap_lift" in metrics,
        width=WIDTH,
        scorers={name: label for name, label in SCORERS.items() if name in metrics["auc"]},
        charts=_charts(metrics),
    )


def _charts(metrics: Figures) -> dict[str, Chart]:
    """Return every chart that there are figures for, by name."""
    buckets = list(metrics["verification"].get("judges", {}).items())
    charts = {
        "verification": Chart.of(
            [(f"{name} words", figures["own_z"], "ceiling") for name, figures in buckets]
        )
    }
    if "slots" in metrics:
        charts["slots"] = Chart.of(
            [
                (label, metrics["slots"][name]["swap_lift_random"], "own")
                for name, label in _SLOTS.items()
            ]
        )
    if "swap_lift" not in metrics:
        return charts
    for suffix in ("", "_unmasked"):
        z, lift = metrics[f"style_z{suffix}"], metrics[f"swap_lift{suffix}"]
        charts[f"style{suffix}"] = Chart.of([(label, z[n], look) for n, label, look in _CONDITIONS])
        charts[f"lift{suffix}"] = Chart.of(
            [
                *((label, lift[name], "own") for name, label in _LIFTS),
                ("own instead of no profile", metrics[f"none_lift{suffix}"], "plain"),
                ("the user's own real texts", z["real_text"], "ceiling"),
            ]
        )
    if metrics["likelihood_lift"]:
        likelihood = metrics["likelihood_lift"]
        charts["likelihood"] = Chart.of(
            [
                ("another user's history", likelihood["random"], "plain"),
                ("the most similar user's history", likelihood["nearest"], "plain"),
                ("the user's own history", likelihood["own"], "own"),
            ]
        )
    charts |= {
        f"by_{group}": _chart_of_groups(labels) for group, labels in metrics["by_group"].items()
    }
    return charts


def _chart_of_groups(labels: Mapping[str, Figures]) -> Chart:
    return Chart.of(
        [
            row
            for label, figures in labels.items()
            for row in (
                (f"{label}: own instead of another's", figures["swap_lift_random"], "own"),
                (f"{label}: real texts", figures["real_text_z"], "ceiling"),
            )
        ]
    )


def _ends(figure: Figures) -> tuple[Any, ...]:
    return tuple(v for v in (figure["mean"], figure["low"], figure["high"]) if v is not None)
