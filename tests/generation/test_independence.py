"""Who else is written for, in which order and how often changes no text.

Two hundred requests for each tiny model, in float32: every setting of sampling, greedy ones among
them, prompts of one token and of hundreds, with and without the head of a template.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from personalm.generation.torch_engine import TorchEngine
from tests.generation.watching import ids_of, telling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.generation.loading import LoadedModel
    from personalm.records import Key, Prompt, Sample
    from tests.generation.conftest import MakePrompt

NUM_REQUESTS = 200


def write(model: LoadedModel, prompts: Iterable[Prompt]) -> dict[Key, list[Sample]]:
    """Draw all prompts in one call; the mean log-probability, which is rounded, is left out."""
    written: dict[Key, list[Sample]] = {}
    for draw in TorchEngine(model, max_batch_tokens=16_384).generate(prompts):
        assert draw.error is None
        assert draw.prompt.key not in written
        written[draw.prompt.key] = [replace(s, mean_logprob=None) for s in draw.samples]
    return written


@pytest.fixture
def requests(
    model: LoadedModel, make_prompt: MakePrompt, sample_texts: tuple[str, ...]
) -> list[Prompt]:
    """Make two hundred prompts of one candidate each."""
    random = Random(17)  # noqa: S311 - a choice of examples is no secret
    tokenizer = model.tokenizer
    heads = [tokenizer.encode(text)[:40] for text in ("Short posts by the same", "A note on: ")]
    prompts = []
    for number in range(NUM_REQUESTS):
        head = [*tokenizer.prefix_ids, *random.choice([[], *heads])]
        body = tokenizer.encode(" ".join(random.choices(sample_texts, k=8)))
        ids = (*head, *body[: int(random.triangular(1, 200, 12))])
        prompt = make_prompt(
            user=f"u{number}",
            token_ids=ids,
            num_candidates=1,
            max_new_tokens=random.randint(2, 14),
            temperature=0.0 if number % 4 == 0 else random.choice([0.6, 0.8, 1.0, 1.4]),
            top_k=random.choice([0, 5, 50]),
            top_p=random.choice([0.8, 0.95, 1.0]),
            min_p=random.choice([0.0, 0.05]),
            repetition_penalty=random.choice([1.0, 1.2]),
            no_repeat_ngram=random.choice([0, 3]),
            stop=random.choice([(), (".",), ("\n", " the")]),
        )
        prompts.append(replace(prompt, num_head_tokens=len(head)))
    return prompts


def test_a_text_is_the_same_alone_in_any_company_and_among_any_number(
    model: LoadedModel, requests: list[Prompt]
) -> None:
    """Token for token: each alone, all in one call, shuffled, and as the first of eight."""
    model = telling(model)
    shuffled = Random(23).sample(requests, k=len(requests))  # noqa: S311 - the same
    alone: dict[Key, list[Sample]] = {}
    for prompt in requests:
        alone |= write(model, [prompt])
    of_eight = write(model, [replace(prompt, num_candidates=8) for prompt in shuffled])

    assert write(model, requests) == alone
    assert write(model, shuffled) == alone
    assert {key: samples[:1] for key, samples in of_eight.items()} == alone

    greedy = {prompt.key for prompt in requests if prompt.sampling.temperature == 0}
    assert len(alone) == NUM_REQUESTS
    assert all(len(of_eight[key]) == (1 if key in greedy else 8) for key in alone)
    lengths = {len(ids_of(samples[0])) for samples in alone.values()}
    finishes = {samples[0].finish for samples in alone.values()}
    assert len(lengths) > 10
    assert {"length", "stop"} <= finishes
