"""The suite tells engines apart whose virtue or vice is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import EngineError, SettingsError
from personalm.evaluation.conditions import Condition
from personalm.hashing import user_digest
from tests.evaluation.conftest import PLAN
from tests.evaluation.world import (
    TEMPLATE,
    address,
    copy,
    heed,
    ignore,
    make_profile,
    samples_in,
)

if TYPE_CHECKING:
    from personalm.records import Profile, Prompt
    from tests.evaluation.conftest import Evaluate

JAPANESE: dict[str, Any] = {"generation.languages": ["ja"]}
CHOOSING: dict[str, Any] = {"generation.candidates": 8}


def test_an_engine_that_heeds_the_profile_is_found_personal(evaluate_hand: Evaluate) -> None:
    """Its lift is near the ceiling, above zero for sure, and it neither copies nor leaks."""
    metrics, _ = evaluate_hand(heed)
    lift, ceiling = metrics["swap_lift"], metrics["real_text_z"]

    assert lift["random"]["low"] > 0
    assert lift["nearest"]["low"] > 0
    assert metrics["none_lift"]["low"] > 0
    assert ceiling["low"] > 0.3
    assert 0.5 < metrics["gap_closed"]["mean"] < 2.0
    assert metrics["attribution_at_1"]["outputs"]["mean"] > 3 * 1 / 12
    assert metrics["attribution_at_1"]["no_profile"]["mean"] < 0.35
    assert metrics["attribution_at_1"]["chance"] == round(1 / 12, 4)
    assert metrics["copies"]["longest_run_p95"]["outputs"] < 8
    assert metrics["leaked_8grams"] == 0
    distance = metrics["trait_distance"]
    assert distance["outputs"]["mean"] < distance["stranger"]["mean"]


def test_an_engine_that_ignores_the_profile_gets_no_lift(evaluate_hand: Evaluate) -> None:
    """Its texts are the same whatever is shown, and there is nothing to choose among."""
    metrics, _ = evaluate_hand(ignore)
    lift = metrics["swap_lift"]["random"]

    assert lift["mean"] == lift["low"] == lift["high"] == 0.0
    assert metrics["attribution_at_1"]["outputs"]["mean"] < 0.35
    assert metrics["real_text_z"]["low"] > 0.3


def test_what_choosing_adds_is_told_apart(evaluate_hand: Evaluate) -> None:
    """Among candidates that ignore the profile, the selector finds likeness; the figure says so."""
    single, _ = evaluate_hand(ignore, name="single")
    many, _ = evaluate_hand(ignore, name="many", **CHOOSING)

    gain = many["selection_gain"]
    assert single["selection_gain"]["embedding"]["own"]["mean"] == 0.0
    assert gain["embedding"]["own"]["low"] > 0
    assert gain["embedding"]["own"]["mean"] > gain["embedding"]["random"]["mean"]


def test_an_engine_that_copies_is_found_out(evaluate_hand: Evaluate) -> None:
    """Copying wins every score of style, and shows beside it."""
    metrics, _ = evaluate_hand(copy)

    assert metrics["swap_lift"]["random"]["low"] > 0
    assert metrics["copy_rate"]["outputs"] > 0.9
    assert metrics["copies"]["longest_run_p95"]["outputs"] > 2 * metrics["copy_rate"]["real_p95"]
    assert metrics["copies"]["gram_share_mean"]["outputs"] > 0.9
    assert metrics["copies"]["gram_share_mean"]["real"] < 0.1


def test_an_engine_that_leaks_is_found_out(evaluate_hand: Evaluate) -> None:
    """A run of another user's words that the prompt did not hold counts, whoever that is."""
    by_digest = sorted((make_profile(number) for number in range(40)), key=_digest)
    victim, robbed = by_digest[0], by_digest[-1]

    def leak(prompt: Prompt, number: int) -> str:
        is_victim = prompt.key.user_id == victim.user_id
        return robbed.texts[5] if is_victim else heed(prompt, number)

    metrics, _ = evaluate_hand(leak)

    assert metrics["leaks"]["num_outputs"] == PLAN.num_subjects
    assert metrics["leaked_8grams"] >= 5 * PLAN.num_subjects


def test_nicks_alone_are_no_style(evaluate_hand: Evaluate) -> None:
    """An engine that takes over nothing but whom the profile talks to: masked, it gets nothing."""
    profiles = [
        address(make_profile(number), f"nick{'xyz'[number % 3] * 3}{number}")
        for number in range(40)
    ]

    def drop_names(prompt: Prompt, number: int) -> str:
        shown = [text.split()[0] for text in samples_in(prompt)]
        return f"{shown[0] if shown else 'nobody:'} {ignore(prompt, number)}"

    metrics, _ = evaluate_hand(drop_names, profiles=profiles)

    assert metrics["swap_lift_unmasked"]["random"]["low"] > 0.3
    assert metrics["swap_lift_unmasked"]["random"]["mean"] > (
        3 * abs(metrics["swap_lift"]["random"]["mean"])
    )
    assert metrics["attribution_at_1_unmasked"]["outputs"]["mean"] >= 0.4
    assert metrics["attribution_at_1"]["outputs"]["mean"] < 0.35


def test_the_figures_are_those_that_the_documentation_names(evaluate_hand: Evaluate) -> None:
    """The names of metrics.json are a contract; each estimate has its interval and its number."""
    metrics, _ = evaluate_hand(heed)

    for name in ("swap_lift", "swap_lift_unmasked"):
        for other in ("random", "nearest"):
            assert set(metrics[name][other]) == {"mean", "low", "high", "n"}
    assert metrics["users"] == 12
    assert metrics["n"] == 12 * PLAN.num_subjects
    assert {"outputs", "real_texts", "chance"} <= set(metrics["attribution_at_1"])
    assert set(metrics["copy_rate"]) == {"outputs", "real_p95"}
    assert isinstance(metrics["leaked_8grams"], int)
    assert set(metrics["auc"]) >= {"embedding", "shape", "cosine_delta", "character_grams"}
    assert {"<25", "25-49", "50-99"} <= set(metrics["auc"]["judges"])
    assert metrics["coverage"]["users_by_tier"] == {"0": 0, "1-4": 0, "5-19": 0, "20+": 40}
    assert metrics["likelihood_lift"] is None  # the fake gives none
    for name in (
        "style_z",
        "gap_closed",
        "none_lift",
        "attribution_at_5",
        "auc_outputs",
        "reference_overlap",
        "trait_distance",
        "between_user_spread",
        "content_fidelity",
        "selection_gain",
        "repetition",
        "by_group",
    ):
        assert metrics[name]


def test_everybody_writes_about_the_same_subjects_with_the_same_noise(
    evaluate_hand: Evaluate,
) -> None:
    """A prompt's key, seed and number of candidates do not tell whose profile it shows."""
    seen: dict[str, list[tuple[object, ...]]] = {}

    def note(prompt: Prompt, number: int) -> str:
        name = (prompt.key.subject_id, prompt.seed, prompt.draw, prompt.num_candidates, number)
        seen.setdefault(prompt.key.user_id, []).append((*name, prompt.subject))
        return heed(prompt, number)

    evaluate_hand(note)

    assert len(seen) == 12
    names = {user: sorted(set(rows)) for user, rows in seen.items()}
    assert len({tuple(rows) for rows in names.values()}) == 1
    for rows in seen.values():
        assert all(rows.count(row) == len(Condition) for row in rows)
    subjects = {str(row[-1]) for row in next(iter(names.values()))}
    assert len(subjects) == PLAN.num_subjects


def test_a_second_call_draws_nothing_and_finds_the_same(evaluate_hand: Evaluate) -> None:
    """Outputs are kept; another setting that changes texts draws anew."""
    first, engine = evaluate_hand(heed)
    again, idle = evaluate_hand(heed)
    _, other = evaluate_hand(heed, seed=5)

    assert engine.num_drawn == 12 * len(Condition) * PLAN.num_subjects
    assert idle.num_drawn == 0
    assert again == first
    assert other.num_drawn == engine.num_drawn


def test_a_stopped_evaluation_goes_on(evaluate_hand: Evaluate) -> None:
    """What was written before the stop is not written again."""
    whole, engine = evaluate_hand(heed, name="whole")
    num_calls = 0

    def stop_half_way(prompt: Prompt, number: int) -> str:
        nonlocal num_calls
        num_calls += 1
        if num_calls > 100:
            raise KeyboardInterrupt
        return heed(prompt, number)

    with pytest.raises(KeyboardInterrupt):
        evaluate_hand(stop_half_way, name="stopped")
    resumed, rest = evaluate_hand(heed, name="stopped")

    assert 0 < rest.num_drawn < engine.num_drawn - 60
    assert resumed == whole


def test_real_texts_alone_need_no_engine(evaluate_hand: Evaluate) -> None:
    """Nothing is drawn, and the scorers' tables are those of the whole evaluation."""
    metrics, engine = evaluate_hand(heed, plan=replace(PLAN, real_texts_only=True), name="real")
    whole, _ = evaluate_hand(heed)

    assert engine.num_drawn == 0
    assert "swap_lift" not in metrics
    assert metrics["verification"] == whole["verification"]
    assert metrics["auc"]["judges"]["50-99"]["low"] > 0.6


def test_ways_of_showing_history_are_compared(evaluate_hand: Evaluate) -> None:
    """Where nothing is shown nothing is lifted; where the style is shown it is."""
    metrics, _ = evaluate_hand(heed, plan=replace(PLAN, compares_slots=True))
    slots = metrics["slots"]

    assert set(slots) == {"none", "recency", "bm25", "diverse", "both"}
    assert slots["recency"]["swap_lift_random"]["low"] > 0
    assert slots["diverse"]["swap_lift_random"]["low"] > 0
    assert abs(slots["none"]["swap_lift_random"]["mean"]) < 0.35


def test_a_language_that_the_model_does_not_write_is_refused(evaluate_hand: Evaluate) -> None:
    """The message says why, and that real texts can still be compared."""
    with pytest.raises(EngineError, match="language_not_supported"):
        evaluate_hand(heed, plan=PLAN, **JAPANESE)


def test_a_kind_that_answers_each_user_is_refused(evaluate_hand: Evaluate) -> None:
    """A reply or a note has no subject that is the same for everybody."""
    template = TEMPLATE.replace('"topic"', '"given"')

    with pytest.raises(SettingsError, match="each user brings"):
        evaluate_hand(heed, template=template)


def test_an_unknown_kind_is_refused_by_name(evaluate_hand: Evaluate) -> None:
    """Before anything is read or drawn."""
    with pytest.raises(SettingsError, match="no template for 'poem'"):
        evaluate_hand(heed, kinds=["poem"])
    with pytest.raises(SettingsError, match="kinds names none"):
        evaluate_hand(heed, kinds=[])


def _digest(profile: Profile) -> str:
    return user_digest(profile.user_id)
