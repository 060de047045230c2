"""Laws of several models: each prompt goes to the one of its kind, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personalm.generation.routing import RoutingEngine
from personalm.generation.scripted import ScriptedEngine
from personalm.records import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from personalm.records import Draw, Prompt
    from tests.generation.conftest import MakePrompt


class Watched(ScriptedEngine):
    """Notes the prompts of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[Prompt]] = []

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Note the prompts, and serve them."""
        self.calls.append(list(prompts))
        return super().generate(self.calls[-1])


def ask(make_prompt: MakePrompt, *kinds: str, batch: str = "b") -> list[Prompt]:
    """Return a prompt a kind, of users one, two, three."""
    return [
        replace(make_prompt(batch=batch), key=Key(user_id=f"u{number}", kind=kind, subject_id="s"))
        for number, kind in enumerate(kinds)
    ]


def test_each_prompt_has_its_draw_in_order_by_the_engine_of_its_kind(
    make_prompt: MakePrompt,
) -> None:
    """Kinds that share a model share a call; the draws are those of the engine alone."""
    posts, others = Watched(), Watched()
    prompts = ask(make_prompt, "note", "post", "reply", "post", "note")

    draws = list(RoutingEngine(lambda kind: posts if kind == "post" else others).generate(prompts))

    assert [draw.prompt for draw in draws] == prompts
    assert draws == list(ScriptedEngine().generate(prompts))
    assert [[p.key.user_id for p in call] for call in posts.calls] == [["u1", "u3"]]
    assert [[p.key.user_id for p in call] for call in others.calls] == [["u0", "u2", "u4"]]


def test_batches_stay_apart_and_are_pulled_one_at_a_time(make_prompt: MakePrompt) -> None:
    """A resumed run asks for the same plans, so none may depend on what came before."""
    engine, pulled = Watched(), []

    def feed() -> Iterator[Prompt]:
        for name in ("one", "two"):
            for prompt in ask(make_prompt, "post", "note", batch=name):
                pulled.append(prompt.batch)
                yield prompt

    draws = RoutingEngine(lambda _: engine).generate(feed())
    first = next(draws)

    assert first.prompt.batch == "one"
    assert pulled.count("two") <= 1
    assert len(list(draws)) == 3
    assert [{p.batch for p in call} for call in engine.calls] == [{"one"}, {"two"}]


def test_prompts_that_share_a_key_have_a_draw_each(make_prompt: MakePrompt) -> None:
    """The contract speaks of prompts, not of keys."""
    prompt = ask(make_prompt, "post")[0]
    prompts = [prompt, replace(prompt, draw=1)]
    engine = ScriptedEngine()

    draws = list(RoutingEngine(lambda _: engine).generate(prompts))

    assert [draw.prompt.draw for draw in draws] == [0, 1]


def test_an_engine_is_opened_when_a_prompt_of_its_kind_comes(make_prompt: MakePrompt) -> None:
    """A model that nothing is asked of is never loaded."""
    asked: list[str] = []

    def open_engine(kind: str) -> ScriptedEngine:
        asked.append(kind)
        return ScriptedEngine()

    router = RoutingEngine(open_engine)
    assert not asked
    list(router.generate(ask(make_prompt, "note")))

    assert set(asked) == {"note"}
