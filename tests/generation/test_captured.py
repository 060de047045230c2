"""Steps of fixed shapes draw what steps one at a time draw.

With a GPU they are recorded and replayed, and these tests run there too; without one the same
steps run as they are written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personalm.generation import stages
from personalm.generation.captured import CapturedDrawing, _round
from personalm.generation.loading import LoadedModel, load_model
from personalm.generation.torch_engine import TorchEngine
from personalm.records import Sampling
from tests.generation.watching import calls, ids_of, telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from personalm.records import Draw, Prompt
    from tests.generation.conftest import MakePrompt

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=needs_gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Name each device that is here."""
    name: str = request.param
    return name


@pytest.fixture(params=["tiny_gpt2", "tiny_llama"])
def model(request: pytest.FixtureRequest, device: str) -> LoadedModel:
    """Load each of the tiny models in float32."""
    folder: Path = request.getfixturevalue(request.param)
    return load_model(str(folder), dtype="float32", device=device, threads=1)


@pytest.fixture
def prompts(make_prompt: MakePrompt) -> list[Prompt]:
    """Make prompts of many lengths and settings, long enough for several recordings."""
    return [
        make_prompt(
            user=f"u{n}",
            token_ids=tuple(range(5, 8 + 5 * n)),
            num_candidates=1 + n % 5,
            max_new_tokens=(40, 9, 21)[n % 3],
            temperature=(1.0, 0.7, 0.0)[n % 3],
            top_k=(40, 7)[n % 2],
            repetition_penalty=(1.0, 1.2)[n % 2],
            no_repeat_ngram=(0, 3, 2)[n % 3],
        )
        for n in range(11)
    ]


def stepwise(model: LoadedModel, *prompts: Prompt, room: int = 16_384) -> list[Draw]:
    """Draw one step at a time."""
    return list(TorchEngine(model, max_batch_tokens=room, captures=False).generate(iter(prompts)))


def recorded(model: LoadedModel, *prompts: Prompt, room: int = 16_384) -> list[Draw]:
    """Draw in recorded steps."""
    return list(TorchEngine(model, max_batch_tokens=room, captures=True).generate(iter(prompts)))


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[CapturedDrawing]:
    """Note the drawings of fixed shapes that are opened."""
    opened: list[CapturedDrawing] = []
    begin = CapturedDrawing.__init__

    def note(self: CapturedDrawing, *args: Any) -> None:
        opened.append(self)
        begin(self, *args)

    monkeypatch.setattr(CapturedDrawing, "__init__", note)
    return opened


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note by how many rows a shape was larger than the one that its group moved to."""
    moved: list[int] = []
    move = CapturedDrawing._move

    def note(self: CapturedDrawing) -> None:
        before = self._stage.shape.num_rows
        move(self)
        moved.append(before - self._stage.shape.num_rows)

    monkeypatch.setattr(CapturedDrawing, "_move", note)
    return moved


def test_recorded_steps_draw_the_same_texts(
    model: LoadedModel, prompts: list[Prompt], drawings: list[CapturedDrawing]
) -> None:
    """Token for token in float32, whatever settings share a group."""
    expected = stepwise(model, *prompts)
    assert not drawings

    assert recorded(model, *prompts) == expected
    assert drawings


def test_rows_that_end_at_different_times_move_into_smaller_shapes(
    model: LoadedModel, prompts: list[Prompt], moves: list[int]
) -> None:
    """The rest of a group goes on where it stood."""
    limits = (40, 3, 17, 3, 3, 17, 3, 9, 3, 3, 33)
    samplings = [
        replace(p.sampling, temperature=1.0, max_new_tokens=limit)
        for p, limit in zip(prompts, limits, strict=True)
    ]
    some = [
        replace(p, num_candidates=3, sampling=sampling)
        for p, sampling in zip(prompts, samplings, strict=True)
    ]

    unending = replace(model, eos_ids=frozenset())
    assert recorded(unending, *some) == stepwise(unending, *some)
    assert len(moves) >= 2
    assert min(moves) > 0


def test_one_engine_serves_groups_of_many_shapes_in_one_memory(
    model: LoadedModel, prompts: list[Prompt]
) -> None:
    """What a group leaves behind is nothing to the next, in the same shape or in another."""
    engine = TorchEngine(model, max_batch_tokens=600, captures=True)
    orders = (prompts, prompts[::-1], prompts[3:7], prompts)
    for order in orders:
        expected = stepwise(model, *order)
        assert list(engine.generate(iter(order))) == expected


def test_stages_that_were_not_used_for_long_are_let_go(
    model: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recordings hold memory, so there is a limit to them."""
    monkeypatch.setattr(stages, "_MAX_STAGES", 2)
    engine = TorchEngine(model, max_batch_tokens=600, captures=True)
    for order in (prompts, prompts):
        assert list(engine.generate(iter(order))) == stepwise(model, *order)
    kept = engine._drawings._stages
    assert kept is not None
    assert len(kept) <= 2


def test_rows_that_end_by_chance_leave_gaps_and_the_others_move(
    model: LoadedModel, prompts: list[Prompt], moves: list[int]
) -> None:
    """A row keeps its own keys and values, whichever of its prompt's rows have gone."""
    ending = replace(model, eos_ids=frozenset(range(0, model.num_embeddings, 25)))
    some = [
        replace(p, num_candidates=6, sampling=Sampling(max_new_tokens=40, top_k=60))
        for p in prompts
    ]

    for own, expected in zip(recorded(ending, *some), stepwise(ending, *some), strict=True):
        for sample, other in zip(own.samples, expected.samples, strict=True):
            # Where a mean lies at the border of its rounding, the shape of the batch decides.
            assert sample.mean_logprob == pytest.approx(other.mean_logprob, abs=0.0011)
            assert replace(sample, mean_logprob=None) == replace(other, mean_logprob=None)
    assert moves


def test_groups_of_the_usual_size_that_find_no_memory_take_what_they_need(
    model: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that others use as well has less than its size promises."""
    asked: list[int] = []
    memory_like = stages._memory_like

    def limited(layers: Any, num_columns: int) -> Any:
        asked.append(num_columns)
        if num_columns > 8_000:
            raise torch.OutOfMemoryError
        return memory_like(layers, num_columns)

    monkeypatch.setattr(stages, "_memory_like", limited)

    assert recorded(model, *prompts) == stepwise(model, *prompts)
    assert asked[0] == 16_384 * 3 // 2
    assert asked[1] < 8_000


def test_recordings_are_let_go_where_memory_runs_out(
    model: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The halves of the group get all that the device has."""
    engine = TorchEngine(model, max_batch_tokens=16_384, captures=True)
    expected = stepwise(model, *prompts)
    assert list(engine.generate(iter(prompts))) == expected
    launch = CapturedDrawing._launch
    held: list[object] = []

    def fail(self: CapturedDrawing) -> Any:
        if self._stage.shape.num_prompts > 6:
            raise torch.OutOfMemoryError
        held.append(self._stages)
        return launch(self)

    before = engine._drawings._stages
    monkeypatch.setattr(CapturedDrawing, "_launch", fail)

    assert list(engine.generate(iter(prompts))) == expected
    assert held
    assert before not in held


@pytest.fixture
def breaking(model: LoadedModel) -> Iterator[Callable[[int, float], None]]:
    """Let a token's embedding be broken, but not the output layer that shares its weight."""
    hooks: list[Any] = []
    embeddings: Any = model.network.get_input_embeddings()

    def break_token(token: int, bad: float) -> None:
        def hook(_module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            return output.masked_fill((inputs[0] == token).unsqueeze(-1), bad)

        hooks.append(embeddings.register_forward_hook(hook))

    yield break_token
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_prompt_of_broken_numbers_fails_alone(
    model: LoadedModel,
    make_prompt: MakePrompt,
    breaking: Callable[[int, float], None],
    bad: float,
) -> None:
    """Neither its neighbours nor the next group in the same memory see them."""
    texts = [(7, 8, 9), (7, 77, 9, 10, 11, 12, 13, 14, 15), (11, 12)]
    prompts = [
        make_prompt(user=f"u{n}", token_ids=ids, num_candidates=3, max_new_tokens=9, top_k=5)
        for n, ids in enumerate(texts)
    ]
    healthy = [prompts[0], prompts[2], replace(prompts[2], draw=1)]
    expected, after = stepwise(model, *prompts), stepwise(model, *healthy)
    breaking(77, bad)
    engine = TorchEngine(model, max_batch_tokens=4_096, captures=True)

    draws = list(engine.generate(iter(prompts)))

    assert draws[1].error == "the model's logits are not finite"
    assert [draws[0], draws[2]] == [expected[0], expected[2]]
    assert list(engine.generate(iter(healthy))) == after


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_row_that_draws_a_broken_token_fails_alone(
    model: LoadedModel,
    make_prompt: MakePrompt,
    breaking: Callable[[int, float], None],
    bad: float,
) -> None:
    """The other rows of its prompt do not see what is not finite, and it never recovers."""
    speaking = telling(replace(model, eos_ids=frozenset()))
    prompt = make_prompt(token_ids=(7, 8, 9), num_candidates=5, max_new_tokens=20, top_k=60)
    said = [ids_of(sample) for sample in stepwise(speaking, prompt)[0].samples]
    others = {id_ for ids in said[1:] for id_ in ids}
    breaking(next(id_ for id_ in said[0][2:10] if id_ not in others), bad)

    (draw,) = recorded(speaking, prompt)

    assert draw.samples[0].finish == "error"
    assert [ids_of(sample) for sample in draw.samples[1:]] == said[1:]


def test_a_row_never_leaves_the_positions_of_the_model(
    model: LoadedModel, make_prompt: MakePrompt, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that has ended goes on until somebody looks; a GPU would not survive the next one."""
    most = model.card.max_positions
    prompts = [
        make_prompt(user="long", token_ids=(7,) * (most - 3), max_new_tokens=3, top_k=5),
        make_prompt(user="short", token_ids=(7, 8), max_new_tokens=30, top_k=5),
    ]

    assert recorded(model, *prompts) == stepwise(model, *prompts)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_nucleus_that_may_need_a_second_look_is_drawn_step_by_step(
    model: LoadedModel, make_prompt: MakePrompt, drawings: list[CapturedDrawing]
) -> None:
    """How wide it is nobody knows before, so its steps cannot be recorded."""
    prompt = make_prompt(token_ids=(7, 8), top_k=0, top_p=0.9)

    assert recorded(model, prompt) == stepwise(model, prompt)
    assert bool(drawings) == (model.num_embeddings <= 256)


def test_the_processor_records_nothing_by_itself(
    prompts: list[Prompt], drawings: list[CapturedDrawing], tiny_gpt2: Path
) -> None:
    """There the program is not what takes the time."""
    model = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    list(TorchEngine(model, max_batch_tokens=16_384).generate(iter(prompts)))

    assert not drawings


def test_a_recording_is_used_again(model: LoadedModel, prompts: list[Prompt]) -> None:
    """The second group of a shape asks the network for nothing but its prompts."""
    if model.device.type != "cuda":
        pytest.skip("nothing is recorded without a GPU")
    engine = TorchEngine(model, max_batch_tokens=16_384, captures=True)
    list(engine.generate(iter(prompts)))
    with calls(model) as seen:
        list(engine.generate(iter(prompts)))

    assert all(call.width > 1 for call in seen)


@given(st.integers(1, 5_000))
def test_sizes_are_rounded_up_by_less_than_a_third(number: int) -> None:
    """And to few sizes: four between a power of two and the next."""
    size = _round(number)

    assert number <= size < 4 / 3 * number
    assert len({_round(n) for n in range(1, 1_025)}) == 8 + 4 * 7
