"""An evaluation of people whose style is known, by an engine of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from personalm import loaded
from personalm.evaluation.plan import Plan
from personalm.evaluation.suite import evaluate
from personalm.loaded import Voice
from personalm.progress import SilentProgress
from personalm.prompting.tokenizer import ByteTokenizer
from tests.evaluation.world import HandEngine, make_profile, make_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from personalm.records import Profile, Prompt

PLAN = Plan(num_people=12)
PROFILES = tuple(make_profile(number) for number in range(40))


class Evaluate(Protocol):
    """Evaluates what a hand writes and returns the figures and the engine."""

    def __call__(
        self,
        hand: Callable[[Prompt, int], str],
        *,
        plan: Plan = PLAN,
        name: str = "evaluation",
        profiles: Sequence[Profile] = PROFILES,
        **overrides: Any,
    ) -> tuple[dict[str, Any], HandEngine]:
        """Return the metrics, and the engine with its count."""
        ...


@pytest.fixture
def evaluate_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Return what evaluates 12 of 40 people, the engine alone a stand-in."""

    def run(
        hand: Callable[[Prompt, int], str],
        *,
        plan: Plan = PLAN,
        name: str = "evaluation",
        profiles: Sequence[Profile] = PROFILES,
        **overrides: Any,
    ) -> tuple[dict[str, Any], HandEngine]:
        engine = HandEngine(hand)
        voice = Voice(tokenizer=ByteTokenizer(), engine=engine)
        monkeypatch.setattr(loaded, "load_voice", lambda *_: voice)
        settings = make_settings(tmp_path / "in", profiles, **overrides)
        metrics = evaluate(settings, tmp_path / name, plan=plan, progress=SilentProgress())
        return metrics, engine

    return run
