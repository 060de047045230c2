"""The engine gives every prompt its draw, the same in any company."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from personalm.errors import EngineError, Stopped
from personalm.generation.guards import MODEL_TYPES
from personalm.generation.noise import gumbel, row_seeds
from personalm.generation.torch_engine import TorchEngine
from tests.generation.reference import generated, logits_after, plain_network, shares
from tests.generation.watching import ids_of, telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from personalm.generation.loading import LoadedModel
    from personalm.records import Draw, Prompt, Sampling
    from tests.generation.conftest import MakePrompt

TEXTS = (
    "Went down to the",
    "I",
    "The kettle clicks off and the kitchen window is grey again. Nobody has called since",
    "Day 3 of fixing the bike:\n- the chain\n- the",
    "",
    "Cold, but the light was good. " * 4,
)


class Wrapped:
    """A network that does something else first."""

    def __init__(self, network: Any, before: Callable[[torch.Tensor], None]) -> None:
        self.network = network
        self.config = network.config
        self.before = before

    def __call__(self, *, input_ids: torch.Tensor, **inputs: Any) -> Any:
        """Call `before` with the ids, then the network."""
        self.before(input_ids)
        return self.network(input_ids=input_ids, **inputs)


def run(model: LoadedModel, *prompts: Prompt, max_batch_tokens: int = 16_384) -> list[Draw]:
    """Draw all prompts."""
    return list(TorchEngine(model, max_batch_tokens=max_batch_tokens).generate(prompts))


def wrap(model: LoadedModel, before: Callable[[torch.Tensor], None]) -> LoadedModel:
    """Return the model with a wrapped network."""
    wrapped: Any = Wrapped(model.network, before)
    return replace(model, network=wrapped)


def greedy_by_transformers(model: LoadedModel, prompt: Prompt, network: Any = None) -> str:
    """Return the likeliest text by transformers' own `generate`."""
    (ids,) = generated(
        model.network if network is None else network,
        prompt.token_ids,
        do_sample=False,
        max_new_tokens=prompt.sampling.max_new_tokens,
        eos_token_id=sorted(model.eos_ids),
    )
    return model.tokenizer.decode(ids).rstrip("\ufffd")


@pytest.fixture
def prompts(model: LoadedModel, make_prompt: MakePrompt) -> list[Prompt]:
    """Make prompts of very different length, settings and number of candidates."""
    return [
        make_prompt(
            text,
            user=f"u{place}",
            model=model,
            num_candidates=1 + place % 3,
            max_new_tokens=6 + 5 * place,
            temperature=0.5 + 0.2 * place,
            top_k=(0, 5, 50)[place % 3],
            repetition_penalty=(1.0, 1.3)[place % 2],
        )
        for place, text in enumerate(TEXTS)
    ]


def test_a_prompt_draws_the_same_alone_and_in_a_batch(
    model: LoadedModel, prompts: list[Prompt]
) -> None:
    """Token for token in float32, for learned and for rotary positions."""
    together = run(model, *prompts)
    alone = [run(model, prompt)[0] for prompt in prompts]

    assert [draw.prompt for draw in together] == prompts
    assert together == alone
    assert all(len(draw.samples) == draw.prompt.num_candidates for draw in together)


def test_order_and_group_size_change_nothing(model: LoadedModel, prompts: list[Prompt]) -> None:
    """Neither do other places in the batch, nor groups of one row."""
    expected = {draw.prompt.key: draw.samples for draw in run(model, *prompts)}

    for draws in (run(model, *prompts[::-1]), run(model, *prompts, max_batch_tokens=1)):
        assert {draw.prompt.key: draw.samples for draw in draws} == expected


def test_a_candidate_does_not_depend_on_their_number(
    model: LoadedModel, make_prompt: MakePrompt
) -> None:
    """The first of eight is the one that would be drawn alone; the eight differ."""
    prompt = make_prompt(model=model, num_candidates=8, max_new_tokens=24)
    eight = run(model, prompt)[0].samples
    one = run(model, replace(prompt, num_candidates=1))[0].samples

    assert eight[:1] == one
    assert len({sample.text for sample in eight}) == 8


def test_another_draw_and_another_user_get_other_texts(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """The same prompt is never written twice in the same words."""
    first = make_prompt(model=gpt2, max_new_tokens=24)
    draws = run(
        gpt2, first, replace(first, draw=1), make_prompt(user="u2", token_ids=first.token_ids)
    )

    assert len({sample.text for draw in draws for sample in draw.samples}) == 6


def test_greedy_equals_transformers_and_is_made_once(
    model: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Equal candidates cost one; settings that lie in the model's folder do not leak in."""
    for text in TEXTS:
        prompt = make_prompt(
            text, model=model, temperature=0.0, max_new_tokens=20, num_candidates=4
        )
        samples = run(model, prompt)[0].samples

        assert len(samples) == 1
        assert samples[0].text == greedy_by_transformers(model, prompt, plain_network(model))


def test_every_token_is_the_one_that_the_logits_of_transformers_give(
    model: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Padded, batched, some with a shared head, greedy and sampled: at every step of every row.

    The logits are those of the text read alone, transformers' own processors make probabilities of
    them, and the noise is the row's own.
    """
    head = tuple(range(11, 21))
    settings: list[dict[str, Any]] = [
        {"temperature": 0.0},
        {"temperature": 0.7, "top_k": 5, "top_p": 1.0},
        {"temperature": 1.0, "top_k": 0, "top_p": 0.9, "repetition_penalty": 1.3},
        {"temperature": 1.4, "top_k": 0, "top_p": 1.0, "min_p": 0.02},
        {"temperature": 1.0, "top_k": 50, "top_p": 0.95},
    ]
    prompts = [
        replace(
            make_prompt(
                user=f"u{n}",
                token_ids=(*head[: 10 * (n % 2)], *range(30 + n, 33 + n * n)),
                num_candidates=3,
                max_new_tokens=12 + n,
                **settings[n % 5],
            ),
            num_head_tokens=10 * (n % 2),
        )
        for n in range(10)
    ]

    for draw in run(telling(model), *prompts):
        prompt, sampling = draw.prompt, draw.prompt.sampling
        seeds = row_seeds(prompt.seed, prompt.key, prompt.draw, range(3))
        for seed, sample in zip(seeds, draw.samples, strict=False):
            ids = ids_of(sample)
            logits = logits_after(model, prompt.token_ids, [*ids, 0][: sampling.max_new_tokens])
            tokens = [
                _token(of_step, ids[:step], sampling, seed) for step, of_step in enumerate(logits)
            ]
            assert tokens[: len(ids)] == ids
            assert (sample.finish == "end") == (len(tokens) > len(ids))
            assert model.eos_ids.issuperset(tokens[len(ids) :])
            logprobs = logits.log_softmax(-1)[range(len(tokens)), tokens]
            assert sample.mean_logprob == pytest.approx(float(logprobs.mean()), abs=6e-4)


def _token(logits: torch.Tensor, said: list[int], sampling: Sampling, seed: int) -> int:
    """Return the token of a step: the largest log-probability with its noise."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    noise = gumbel(torch.tensor([seed]), torch.tensor(len(said)), torch.arange(len(logits))[None])[
        0
    ]
    return int((shares(logits, said, sampling).double().log() + noise).argmax())


def test_candidates_are_drawn_as_transformers_draws_them(
    model: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Chi-square of the first two tokens of 6,000 candidates against as many of `generate`.

    Every candidate draws its first token for itself, though the prompt is read once for all.
    """
    settings: dict[str, Any] = {"temperature": 0.9, "top_k": 4, "top_p": 0.97}
    prompts = [
        make_prompt(user=f"u{n}", model=model, num_candidates=100, max_new_tokens=2, **settings)
        for n in range(60)
    ]
    unending = telling(replace(model, eos_ids=frozenset()))

    draws = run(unending, *prompts)
    set_seed(1)
    theirs = Counter(
        tuple(ids)
        for ids in generated(
            plain_network(model),
            prompts[0].token_ids,
            do_sample=True,
            num_return_sequences=6_000,
            max_new_tokens=2,
            **settings,
        )
    )
    ours = Counter(tuple(ids_of(sample)) for draw in draws for sample in draw.samples)

    assert ours.total() == theirs.total()
    assert all(len({ids_of(sample)[0] for sample in draw.samples}) > 2 for draw in draws)
    often = [ids for ids in ours.keys() | theirs.keys() if ours[ids] + theirs[ids] >= 10]
    assert 6 < len(often) <= 16
    differences = [(ours[ids] - theirs[ids]) ** 2 / (ours[ids] + theirs[ids]) for ids in often]
    assert sum(differences) < 44  # 15 degrees of freedom at most: above once in some 10,000


def test_every_call_gives_its_own_prompts_their_draws(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Once each, in their order, also where prompts are alike or a call before was broken off."""
    first, other = make_prompt(model=gpt2), make_prompt("I", user="u2", model=gpt2, batch="c")
    expected = [run(gpt2, prompt)[0] for prompt in (first, other)]
    engine = TorchEngine(gpt2, max_batch_tokens=16_384)

    broken_off = engine.generate([first, replace(first, draw=1), other])
    assert next(broken_off) == expected[0]
    assert list(engine.generate([other, first, first])) == [expected[i] for i in (1, 0, 0)]
    assert list(engine.generate([first])) == expected[:1]
    assert [draw.prompt.draw for draw in broken_off] == [1, 0]
    assert list(engine.generate([])) == []


@pytest.mark.parametrize(
    "edge",
    [
        {"top_k": 0, "top_p": 1.0},
        {"top_k": 1},
        {"top_k": 513},
        {"top_k": 10**9},
        {"top_p": 1e-12},
        {"min_p": 1.0},
        {"temperature": 1e-9},
        {"temperature": 5.0, "top_k": 10**9, "top_p": 1.0},
        {"repetition_penalty": 5.0, "no_repeat_ngram": 1},
    ],
    ids=str,
)
def test_settings_at_their_limits_draw_texts(
    gpt2: LoadedModel, make_prompt: MakePrompt, edge: dict[str, Any]
) -> None:
    """Whatever settings and templates may say, a model of any vocabulary can do."""
    (draw,) = run(gpt2, make_prompt(model=gpt2, num_candidates=3, **edge))

    assert gpt2.num_embeddings < 513
    assert draw.error is None
    assert {sample.finish for sample in draw.samples} <= {"stop", "length", "end"}


def test_the_limit_counts_new_tokens_only(gpt2: LoadedModel, make_prompt: MakePrompt) -> None:
    """A long prompt leaves as many new tokens as a short one."""
    unending = replace(gpt2, eos_ids=frozenset())
    draws = run(unending, *(make_prompt(text, model=gpt2, max_new_tokens=17) for text in TEXTS))

    for draw in draws:
        assert [(s.num_tokens, s.finish) for s in draw.samples] == [(17, "length")] * 2


def test_stop_strings_and_end_tokens_end_a_row(gpt2: LoadedModel, make_prompt: MakePrompt) -> None:
    """No text holds its stop string, and all three ends occur."""
    prompt = make_prompt(model=gpt2, num_candidates=24, max_new_tokens=9, stop=(" the",))
    samples = run(gpt2, prompt)[0].samples

    assert {"stop", "length"} <= {sample.finish for sample in samples} <= {"stop", "length", "end"}
    assert all(" the" not in sample.text for sample in samples)
    end = next(iter(gpt2.eos_ids))
    at_end = make_prompt(token_ids=(end,), temperature=0.0)
    always = torch.nn.functional.one_hot(torch.tensor(end), gpt2.num_embeddings).float() * 99
    with_end: Any = lambda **inputs: _with_logits(gpt2, always, inputs)  # noqa: E731 - a short fake
    with_end.config = gpt2.network.config
    assert run(replace(gpt2, network=with_end), at_end)[0].samples[0].finish == "end"


def _with_logits(model: LoadedModel, logits: torch.Tensor, inputs: dict[str, Any]) -> Any:
    output = model.network(**inputs)
    output.logits = logits.expand_as(output.logits)
    return output


def test_a_prompt_without_room_is_an_error_of_its_own(
    model: LoadedModel, make_prompt: MakePrompt
) -> None:
    """It never reaches the model, its neighbours get their texts, nothing shifts."""
    short = make_prompt(model=model, user="a")
    fits = make_prompt(user="b", token_ids=(5,) * 244, max_new_tokens=12)
    too_long = make_prompt(user="c", token_ids=(5,) * 245, max_new_tokens=12)
    foreign = make_prompt(user="d", token_ids=(5, model.num_embeddings))
    negative = make_prompt(user="e", token_ids=(5, -1))
    draws = run(model, short, too_long, fits, foreign, negative, replace(short, draw=1))

    assert [draw.error is None for draw in draws] == [True, False, True, False, False, True]
    assert draws[1].error == "245 prompt tokens and 12 new ones do not fit 256 positions"
    assert draws[1].samples == ()
    assert [str(draw.error)[:24] for draw in draws[3:5]] == ["a token id is outside of"] * 2
    assert draws[0] == run(model, short)[0]
    assert draws[2] == run(model, fits)[0]


def test_rows_of_other_limits_never_leave_the_positions_of_the_model(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """A row that ends early beside one that goes on long past it."""
    unending = replace(gpt2, eos_ids=frozenset())
    full = make_prompt(user="a", token_ids=(5,) * 250, max_new_tokens=6)
    short = make_prompt(user="b", token_ids=(5,), max_new_tokens=200)
    draws = run(unending, full, short)

    assert [draw.error for draw in draws] == [None, None]
    assert [draw.samples[0].num_tokens for draw in draws] == [6, 200]


def test_an_empty_prompt_starts_a_text(model: LoadedModel, make_prompt: MakePrompt) -> None:
    """A user of whom nothing is known still gets a text; without a start token, a reason."""
    draw = run(model, make_prompt(token_ids=()))[0]
    assert draw.error is None
    assert draw.samples[0].num_tokens > 0

    class NoStart:
        prefix_ids = ()

    no_start: Any = NoStart()
    failed = run(replace(model, tokenizer=no_start), make_prompt(token_ids=()))[0]
    assert failed.error == "the prompt is empty and the model has no start token"


def test_rows_without_finite_logits_cost_nobody_else(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """A prompt that breaks is an error; a candidate that breaks on its way is one without text."""
    good = [make_prompt(f"The {n}", user=f"u{n}", model=gpt2, num_candidates=4) for n in range(4)]
    broken = make_prompt(user="x", token_ids=(7, 8, 9))
    expected = run(gpt2, *good)
    bad_token = gpt2.tokenizer.encode(expected[0].samples[0].text)[1]
    network: Any = lambda **inputs: _with_nan(gpt2, (bad_token, 9), inputs)  # noqa: E731 - a fake
    network.config = gpt2.network.config
    draws = run(replace(gpt2, network=network), *good[:2], broken, *good[2:])

    assert draws[2].error == "the model's logits are not finite"
    assert draws[0].samples[0].finish == "error"
    assert draws[0].samples[0].text == ""
    served = [*draws[:2], *draws[3:]]
    for draw, reference in zip(served, expected, strict=True):
        for sample, good_sample in zip(draw.samples, reference.samples, strict=True):
            assert sample == good_sample or sample.finish == "error"
    assert any(s.finish != "error" for draw in served for s in draw.samples)


def _with_nan(model: LoadedModel, bad_tokens: tuple[int, ...], inputs: dict[str, Any]) -> Any:
    output = model.network(**inputs)
    last = inputs["input_ids"][:, -1]
    output.logits[torch.isin(last, torch.tensor(bad_tokens))] = torch.nan
    return output


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
@pytest.mark.parametrize("max_rows", [1, 3])
def test_out_of_memory_runs_in_halves(
    model: LoadedModel, prompts: list[Prompt], error: type[Exception], max_rows: int
) -> None:
    """Every prompt is served with the texts it would have had; nothing is dropped or doubled."""
    refused = []

    def refuse(ids: torch.Tensor) -> None:
        if len(ids) > max_rows:
            refused.append(len(ids))
            raise error

    assert run(wrap(model, refuse), *prompts) == run(model, *prompts)
    assert refused


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, ValueError])
def test_a_try_that_failed_holds_no_tensors_while_its_parts_run(
    gpt2: LoadedModel, make_prompt: MakePrompt, error: type[Exception]
) -> None:
    """They would take the room that is wanted now."""
    held: list[weakref.ref[torch.Tensor]] = []
    left = []

    def refuse(ids: torch.Tensor) -> None:
        left.append(sum(ref() is not None for ref in held))
        if len(ids) > 1:
            held.append(weakref.ref(ids))
            raise error

    prompts = [make_prompt(user=f"u{n}", model=gpt2, num_candidates=1) for n in range(5)]
    draws = run(wrap(gpt2, refuse), *prompts)

    assert draws == run(gpt2, *prompts)
    assert held
    assert set(left) == {0}


def test_a_row_too_large_for_the_memory_is_an_error_of_its_own(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """Halving ends at one row."""

    def refuse(ids: torch.Tensor) -> None:
        if ids.shape[1] > 100:
            raise torch.OutOfMemoryError

    small, large = make_prompt(model=gpt2), make_prompt(user="x", token_ids=(5,) * 120)
    draws = run(wrap(gpt2, refuse), small, large, replace(small, draw=1))

    assert [draw.error for draw in draws] == [None, "the model failed: OutOfMemoryError", None]


def test_a_prompt_that_raises_fails_alone_and_without_its_text(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """The others are run again without it; the message names the class of the error only."""

    def refuse(ids: torch.Tensor) -> None:
        if (ids == 77).any():
            raise ValueError("secret text of the user")

    good = make_prompt(model=gpt2, temperature=0.0)
    bad = make_prompt(user="x", token_ids=(5, 77, 5))
    draws = run(wrap(gpt2, refuse), good, bad, replace(good, draw=1))

    assert [draw.error for draw in draws] == [None, "the model failed: ValueError", None]
    assert draws[0] == run(gpt2, good)[0]


def test_a_dead_device_stops_the_run(gpt2: LoadedModel, make_prompt: MakePrompt) -> None:
    """After a device assertion nobody can be served: going on would reject every user."""

    def die(_ids: torch.Tensor) -> None:
        raise torch.AcceleratorError

    with pytest.raises(EngineError):
        run(wrap(gpt2, die), make_prompt(model=gpt2))


def test_a_fault_of_the_program_is_no_failure_of_a_prompt(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """It would be taken for one in every prompt of every user."""

    def err(_ids: torch.Tensor) -> None:
        raise NameError("no such name")

    with pytest.raises(NameError):
        run(wrap(gpt2, err), make_prompt(model=gpt2))


def test_a_signal_between_two_steps_ends_the_work(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """It is no failure of a prompt."""
    steps = []

    def stop(_ids: torch.Tensor) -> None:
        steps.append(1)
        if len(steps) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        run(wrap(gpt2, stop), make_prompt(model=gpt2))


def test_batches_are_pulled_when_needed_and_never_mixed(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """One prompt is read ahead, to see that the batch before it has ended."""
    pulled = []
    sizes = []

    def feed() -> Iterator[Prompt]:
        for place, batch in enumerate("aabbbc"):
            pulled.append(place)
            yield make_prompt("I", user=f"u{place}", model=gpt2, batch=batch, num_candidates=1)

    def note(ids: torch.Tensor) -> None:
        if ids.shape[1] > 1:
            sizes.append(len(ids))

    draws = TorchEngine(wrap(gpt2, note), max_batch_tokens=9999).generate(feed())

    assert next(draws).prompt.batch == "a"
    assert pulled == [0, 1, 2]
    assert len(list(draws)) == 5
    assert sizes == [2, 3, 1]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model_type", sorted(MODEL_TYPES))
def test_every_supported_architecture_draws_the_same_alone_and_in_a_batch(
    gpt2: LoadedModel, make_prompt: MakePrompt, model_type: str, attention: str
) -> None:
    """Random weights, windows of attention shorter than the prompts where there are any."""
    sizes: dict[str, Any] = {
        "vocab_size": gpt2.num_embeddings,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": 0.4,
    }
    if "sliding_window" in AutoConfig.for_model(model_type).to_dict():
        sizes["sliding_window"] = 8
    set_seed(5)
    network = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]  # the same
        AutoConfig.for_model(model_type, **sizes), attn_implementation=attention
    ).eval()
    model = replace(gpt2, network=network)
    made = [make_prompt(text, user=text, model=model) for text in TEXTS]
    draws = run(model, *made)

    assert [draw.error for draw in draws] == [None] * len(TEXTS)
    assert draws == [run(model, prompt)[0] for prompt in made]
    greedy = make_prompt(TEXTS[2], model=model, temperature=0.0)
    assert run(model, greedy)[0].samples[0].text == greedy_by_transformers(model, greedy)
