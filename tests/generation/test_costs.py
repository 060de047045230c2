"""What a group of rows costs: nothing is computed, kept, ordered or waited for in vain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import DynamicCache

from personalm.generation.shared_prefix import SharedPrefix
from personalm.generation.torch_engine import TorchEngine
from tests.generation.reference import plain_network
from tests.generation.watching import Operations, calls, ids_of, is_look, telling

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel
    from personalm.records import Draw, Prompt
    from tests.generation.conftest import MakePrompt

HEAD = tuple(range(11, 31))


@pytest.fixture(params=["shared", "copied"])
def unending(request: pytest.FixtureRequest, model: LoadedModel) -> LoadedModel:
    """Return each tiny model, with each kind of decoding; its texts end at their limits alone."""
    whole = replace(model, eos_ids=frozenset())
    return whole if request.param == "shared" else replace(whole, network=plain_network(model))


def draw(model: LoadedModel, *prompts: Prompt, max_batch_tokens: int = 16_384) -> list[Draw]:
    """Draw all prompts; each is served."""
    draws = list(TorchEngine(model, max_batch_tokens=max_batch_tokens).generate(prompts))
    assert [draw.error for draw in draws] == [None] * len(prompts)
    return draws


def test_a_row_that_has_ended_is_computed_no_more(
    unending: LoadedModel, make_prompt: MakePrompt
) -> None:
    """The longest text holds up nobody: each step has the rows that still go on."""
    limits = (2, 9, 5, 5)
    prompts = [
        make_prompt(user=f"u{n}", token_ids=(7, 8, 9), max_new_tokens=limit)
        for n, limit in enumerate(limits)
    ]

    with calls(unending) as seen:
        draw(unending, *prompts)

    steps = [call.num_rows for call in seen if call.width == 1]
    assert steps == [2 * sum(limit > step for limit in limits) for step in range(1, 9)]


def test_the_vocabulary_is_asked_of_the_last_position_alone(
    unending: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Logits of every position of a long prompt would be most of the memory."""
    asked: list[int] = []
    network: Any = unending.network
    hook = network.get_output_embeddings().register_forward_pre_hook(
        lambda _, args: asked.append(args[0].shape[1])
    )
    try:
        draw(unending, *(make_prompt(user=f"u{n}", token_ids=HEAD[n:]) for n in range(3)))
    finally:
        hook.remove()

    assert asked
    assert set(asked) == {1}


@pytest.mark.parametrize("budget", [120, 400, 2_000])
def test_a_group_keeps_no_more_positions_than_it_may(
    unending: LoadedModel, make_prompt: MakePrompt, budget: int
) -> None:
    """Whatever lengths, limits and numbers of candidates stand side by side."""
    prompts = [
        make_prompt(
            user=f"u{n}",
            token_ids=HEAD[: 1 + n % 20],
            num_candidates=(1, 8, 2)[n % 3],
            max_new_tokens=(3, 20, 9)[n % 3],
        )
        for n in range(30)
    ]
    kept: list[int] = []

    def note(cache: Any) -> None:
        layers: Any = cache.layers if isinstance(cache, DynamicCache) else ()
        keys = [layer.keys for layer in layers] or getattr(cache, "_keys", [])
        kept.extend(len(of_layer) * of_layer.shape[2] for of_layer in keys)

    with calls(unending, note) as seen:
        draw(unending, *prompts, max_batch_tokens=budget)

    assert budget / 2 < max(kept) <= budget
    assert max(call.num_rows * call.width for call in seen) <= budget


@pytest.mark.parametrize("is_refused", [False, True], ids=["served", "refused"])
def test_what_a_group_keeps_is_free_before_the_next_one_runs(
    unending: LoadedModel, make_prompt: MakePrompt, *, is_refused: bool
) -> None:
    """Also where the memory was too small for it: what has failed must not stand in the way."""
    prompts = [
        make_prompt(user=f"u{n}", token_ids=HEAD[: 5 + n], max_new_tokens=4) for n in range(8)
    ]
    caches: list[ref[Any]] = []
    num_held: list[int] = []

    def look(cache: Any) -> None:
        if seen[-1].width > 1 and (len(seen) == 1 or seen[-2].width == 1):
            num_held.append(sum(known() is not None for known in caches))
        caches.append(ref(cache))
        if is_refused and seen[-1].width == 1 and seen[-1].num_rows > 4:
            raise torch.OutOfMemoryError

    with calls(unending, look) as seen:
        draw(unending, *prompts, max_batch_tokens=16_384 if is_refused else 50)

    assert len(num_held) > 3
    assert set(num_held) == {0}


@pytest.mark.parametrize(
    ("sampling", "most"),
    [
        ({"top_k": 50, "top_p": 0.95, "repetition_penalty": 1.2}, 1),
        ({"temperature": 0.0}, 1),
        ({"top_k": 0, "top_p": 0.9}, 2),
        ({"top_k": 50, "no_repeat_ngram": 2}, 1),
    ],
    ids=["top-k", "greedy", "open-nucleus", "n-grams"],
)
def test_a_step_looks_at_the_device_once_for_all_rows(
    model: LoadedModel,
    make_prompt: MakePrompt,
    monkeypatch: pytest.MonkeyPatch,
    sampling: dict[str, Any],
    most: int,
) -> None:
    """Each look waits for all that was asked of an accelerator before; so one more is counted."""
    unending = replace(model, eos_ids=frozenset())
    looks: list[int] = []
    to_list: Any = torch.Tensor.tolist

    def count(name: str, args: Any) -> None:
        if is_look(name, args):
            looks[-1] += 1

    def counted(tensor: torch.Tensor) -> Any:
        looks[-1] += 1
        return to_list(tensor)

    monkeypatch.setattr(torch.Tensor, "tolist", counted)
    for num_prompts in (1, 12):
        looks[:] = [0]
        prompts = [
            make_prompt(user=f"u{n}", token_ids=(7, 8, 9), max_new_tokens=24, **sampling)
            for n in range(num_prompts)
        ]
        with calls(unending, lambda _cache: looks.append(0)), Operations(count):
            draw(unending, *prompts)

        # The first call reads the prompts, and is planned before.
        assert set(looks[2:]) == {most}


def test_a_text_is_decoded_once_when_it_is_whole(
    unending: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Between two steps only a token is looked at that may end a stop string of the row."""
    for stop in ((), ("never said",), ("\n\n\n\n",)):
        model = telling(unending)
        tokenizer: Any = model.tokenizer
        prompts = [
            make_prompt(user=f"u{n}", token_ids=HEAD[: 3 + n], max_new_tokens=20, stop=stop)
            for n in range(6)
        ]

        draws = draw(model, *prompts)

        ids = [id_ for of_prompt in draws for sample in of_prompt.samples for id_ in ids_of(sample)]
        pieces = [tokenizer.piece(id_) for id_ in ids]
        last = stop[0][-1] if stop else ""
        num_near = sum(last in piece or "\ufffd" in piece for piece in pieces) if stop else 0
        assert tokenizer.num_decoded == 12 + num_near


def test_no_shape_is_compiled(unending: LoadedModel, make_prompt: MakePrompt) -> None:
    """Every new length or number of rows would cost seconds."""
    before = sum(counters["frames"].values())
    for n in range(1, 6):
        prompts = [make_prompt(user=f"u{k}", token_ids=HEAD[: n + k]) for k in range(n)]
        draw(unending, *prompts)

    assert sum(counters["frames"].values()) == before
    assert not SharedPrefix.is_compileable


def test_prompts_of_many_lengths_are_read_whole_and_beside_their_like(
    model: LoadedModel, make_prompt: MakePrompt
) -> None:
    """No prompt is fed token by token; of five positions that are read four are no pads."""
    unending = replace(model, eos_ids=frozenset())
    lengths = [3 + 5 * n for n in range(46)]
    prompts = [
        make_prompt(user=f"u{n}", token_ids=tuple(range(5, 5 + length)), max_new_tokens=4)
        for n, length in enumerate(lengths)
    ]

    with calls(unending) as seen:
        draw(unending, *reversed(prompts), max_batch_tokens=100_000)

    readings = [call for call in seen if call.width > 1]
    assert [call.num_rows for call in seen if call.width == 1] == [2 * 46] * 3
    assert sum(call.num_rows for call in readings) == 46
    assert sum(call.num_rows * call.width for call in readings) <= 5 / 4 * sum(lengths)
    assert len(readings) < 12
