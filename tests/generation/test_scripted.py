"""The scripted engine keeps the contract of every engine, with words in place of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personalm.generation.scripted import ScriptedEngine
from personalm.records import Key

if TYPE_CHECKING:
    from personalm.records import Prompt
    from tests.generation.conftest import MakePrompt


def texts(engine: ScriptedEngine, *prompts: Prompt) -> list[list[str]]:
    """Return the texts of each prompt."""
    return [[sample.text for sample in draw.samples] for draw in engine.generate(prompts)]


def test_texts_are_deterministic_and_do_not_depend_on_company(make_prompt: MakePrompt) -> None:
    """Neither on order, nor on the number of candidates."""
    a, b = make_prompt("a", num_candidates=4), make_prompt("b", num_candidates=4)
    together = texts(ScriptedEngine(), a, b)

    assert together == texts(ScriptedEngine(), b, a)[::-1]
    assert texts(ScriptedEngine(), replace(a, num_candidates=1))[0] == together[0][:1]


def test_whatever_names_a_candidate_changes_its_text(make_prompt: MakePrompt) -> None:
    """Prompt, seed, user, draw and candidate number."""
    prompt = make_prompt("a", max_new_tokens=40)
    others = [
        prompt,
        replace(prompt, text="b"),
        replace(prompt, seed=4),
        replace(prompt, draw=1),
        replace(prompt, key=Key(user_id="u2", kind="post", subject_id="s")),
    ]

    assert len({text for row in texts(ScriptedEngine(), *others) for text in row}) == 10


def test_limits_stop_strings_and_greedy_are_kept(make_prompt: MakePrompt) -> None:
    """As a real engine keeps them."""
    short = make_prompt(max_new_tokens=3)
    stopped = make_prompt(stop=(".",))
    greedy = make_prompt(temperature=0.0)
    draws = list(ScriptedEngine().generate([short, stopped, greedy]))

    assert [sample.num_tokens for sample in draws[0].samples] == [3, 3]
    assert {sample.finish for sample in draws[1].samples} == {"stop"}
    assert all("." not in sample.text for sample in draws[1].samples)
    assert len(draws[2].samples) == 1


def test_a_script_fixes_the_texts_and_a_failure_costs_one_prompt(make_prompt: MakePrompt) -> None:
    """Draws go on in the script where the last one ended, and start over at its end."""
    prompt, bad = make_prompt(), make_prompt(user="bad")
    engine = ScriptedEngine(
        fail_on=lambda prompt: prompt.key.user_id == "bad",
        scripts={prompt.key: ("one", "two", "three")},
    )
    draws = list(engine.generate([prompt, bad, replace(prompt, draw=1)]))

    assert [[s.text for s in draw.samples] for draw in draws] == [
        ["one", "two"],
        [],
        ["three", "one"],
    ]
    assert [draw.error is None for draw in draws] == [True, False, True]
