"""Laws of page and headline: they say what the figures say, and show nobody's text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from personalm.evaluation.headline import headline_of
from personalm.evaluation.page import Chart, render_page
from tests.evaluation.conftest import PLAN
from tests.evaluation.world import heed, make_profile

if TYPE_CHECKING:
    from tests.evaluation.conftest import Evaluate

CEILING = {"mean": 1.4, "low": 1.2, "high": 1.6, "n": 150}


def figure(mean: float, half: float | None = None) -> dict[str, Any]:
    """Return a figure with an interval."""
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": low, "high": high, "n": 150}


@pytest.mark.parametrize(
    ("lift", "said"),
    [
        (figure(0.8, 0.2), "yes, by 0.80 ± 0.20; the users' own real texts reach 1.40 ± 0.20."),
        (figure(0.1, 0.2), "not shown, by 0.10"),
        (figure(-0.8, 0.2), "no, less, by -0.80"),
        (figure(0.8), "not shown"),
        (None, "Too few texts were written"),
    ],
)
def test_the_headline_follows_the_interval(lift: dict[str, Any] | None, said: str) -> None:
    """A lift counts only where its whole interval is above zero."""
    metrics = {"swap_lift": {"random": lift}, "real_text_z": CEILING}

    assert said in headline_of(metrics)


def test_a_low_ceiling_is_said_before_any_lift() -> None:
    """Where real texts are not told apart, no text can be."""
    metrics = {"swap_lift": {"random": figure(0.8, 0.2)}, "real_text_z": figure(0.5, 0.3)}

    assert headline_of(metrics).startswith("These texts are too short, or too few")


def test_strangers_who_are_too_few_are_said_to_be() -> None:
    """It is not the texts that are missing where pools were scored."""
    metrics = {"swap_lift": {"random": None}, "real_text_z": None, "users_scored": 9}

    assert headline_of(metrics).startswith("Strangers' texts of this length are too few")


def test_the_headline_of_real_texts_is_of_the_longest_that_were_scored() -> None:
    """A length that too few strangers have is passed over."""
    judges = {"<25": {"auc": figure(0.6)}, "25-49": {"auc": figure(0.7)}, "50-99": {"auc": None}}

    said = headline_of({"verification": {"judges": judges}})

    assert "(25-49 words) are told from a stranger's in 70%" in said
    for nothing in ({}, {"judges": {"<25": {"auc": None}}}):
        assert "too short, or strangers too few" in headline_of({"verification": nothing})


def test_a_chart_keeps_its_figures_in_order_and_in_view() -> None:
    """Zero, bars and whiskers lie on one scale."""
    rows = [("low", figure(-1.0, 0.5), "own"), ("gone", None, "own")]
    chart = Chart.of([*rows, ("high", figure(2.0, 1.0), "own")])

    low, high = chart.bars
    assert (low.label, high.label) == ("low", "high")
    assert low.low == 0.0
    assert high.high == 420.0
    assert low.start + low.width == pytest.approx(chart.zero)
    assert high.start == pytest.approx(chart.zero)


def test_the_page_shows_every_part_and_nobody(evaluate_hand: Evaluate) -> None:
    """Self-contained; neither a text nor an id of anybody stands in page or figures."""
    metrics, _ = evaluate_hand(heed, plan=replace(PLAN, compares_slots=True))
    metrics["model"] = "<b>evil</b>"

    page = render_page(metrics)

    assert headline_of(metrics).replace("'", "&#39;") in page
    assert "&lt;b&gt;evil&lt;/b&gt;" in page
    assert "<b>evil</b>" not in page
    for words in ("Copied or leaked?", "Whose is it?", "By length", "What this does not say"):
        assert words in page
    assert not re.search(r"https?://|<script|<img|url\(", page)
    assert not re.search(r"\bnan\b|None", page)
    profiles = [make_profile(number) for number in range(40)]
    for shown in (page, json.dumps(metrics)):
        assert not any(profile.user_id in shown for profile in profiles)
        assert not any(text in shown for profile in profiles for text in profile.texts)


def test_the_page_says_whether_the_model_has_seen_the_answers(evaluate_hand: Evaluate) -> None:
    """Loudly where it has; in passing where it has learned from the people's older texts."""
    metrics, _ = evaluate_hand(heed)
    assert metrics["learned_from"] is None
    assert "has learned from" not in render_page(metrics)

    metrics["learned_from"] = {"people": 7, "held_out_too": 3}
    assert "<strong>The model has learned from 7 of these users, and of 3" in render_page(metrics)

    metrics["learned_from"] = {"people": 7, "held_out_too": 0}
    assert "from nothing that is held out here" in render_page(metrics)


def test_the_page_of_real_texts_alone_has_their_tables(evaluate_hand: Evaluate) -> None:
    """And nothing of outputs that do not exist."""
    metrics, _ = evaluate_hand(heed, plan=replace(PLAN, real_texts_only=True))

    page = render_page(metrics)

    assert "nothing was generated" in page
    assert "both judges" in page
    assert "Copied or leaked?" not in page
