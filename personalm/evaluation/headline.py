"""The headline: what an evaluation found, in one sentence that needs no formula."""

from __future__ import annotations

from typing import Any

from personalm.evaluation.estimates import MIN_CEILING

Figures = dict[str, Any]


def headline_of(metrics: Figures) -> str:
    """Say whether an own profile makes texts sound more like their user, and by how much."""
    if "swap_lift" not in metrics:
        return _headline_of_real_texts(metrics)
    lift, ceiling = metrics["swap_lift"]["random"], metrics["real_text_z"]
    if lift is None and metrics.get("users_scored"):
        return "Strangers' texts of this length are too few, or too much alike, to measure by."
    if lift is None or ceiling is None or ceiling["low"] is None:
        return "Too few texts were written to say whether they sound like their users."
    if ceiling["low"] <= MIN_CEILING:
        return (
            "These texts are too short, or too few, to tell users apart: even their own real texts "
            f"reach only {show(ceiling)}."
        )
    claim = "Texts written with a user's own profile sound more like that user than texts"
    return (
        f"{claim} written with another user's profile: {_verdict(lift)}, by {show(lift)}; "
        f"the users' own real texts reach {show(ceiling)}."
    )


def show(figure: Figures | None) -> str:
    """Return a figure with half the width of its interval: "0.82 ± 0.15"."""
    if figure is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['mean']:.2f}"
    return f"{figure['mean']:.2f} ± {(figure['high'] - figure['low']) / 2:.2f}"


def _verdict(lift: Figures) -> str:
    if lift["low"] is None or lift["low"] <= 0 <= lift["high"]:
        return "not shown"
    return "yes" if lift["mean"] > 0 else "no, less"


def _headline_of_real_texts(metrics: Figures) -> str:
    buckets = metrics["verification"].get("judges", {})
    told = {name: figures["auc"] for name, figures in buckets.items() if figures["auc"]}
    if not told:
        return "The users' texts are too short, or strangers too few, to tell their writers apart."
    bucket, auc = list(told.items())[-1]
    return (
        f"Of real texts alone, the longest pools ({bucket} words) are told from a stranger's in "
        f"{auc['mean']:.0%} of the cases; nothing was generated."
    )
