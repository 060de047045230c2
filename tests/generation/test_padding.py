"""A token that fills up short rows is a token like any other where a prompt truly holds it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from personalm.generation.torch_engine import TorchEngine
from tests.generation.reference import plain_network
from tests.generation.test_torch_engine import greedy_by_transformers

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel
    from tests.generation.conftest import MakePrompt


@pytest.mark.parametrize("kind", ["shared", "copied"])
@pytest.mark.parametrize("pad", ["the end token", "a word"])
def test_a_prompt_that_holds_the_pad_is_read_whole_beside_longer_ones(
    model: LoadedModel, make_prompt: MakePrompt, pad: str, kind: str
) -> None:
    """At its start, middle and end: what is padding is told by lengths, not by ids."""
    (end,) = model.eos_ids
    words = tuple(model.tokenizer.encode("Went down to the harbour before work."))
    fill = end if pad == "the end token" else words[1]
    prompts = [
        make_prompt(user=f"u{n}", token_ids=ids, temperature=0.0)
        for n, ids in enumerate(
            [
                (fill, *words),
                (fill, *words[:3]),
                (*words, fill, *words[:2]),
                (*words[:2], fill, fill),
                (fill, fill, fill, *words * 4),
                (*words * 2, fill),
            ]
        )
    ]
    plain = plain_network(model)
    padded = replace(model, network=model.network if kind == "shared" else plain)

    draws = list(TorchEngine(padded, max_batch_tokens=16_384).generate(prompts))

    for prompt, draw in zip(prompts, draws, strict=True):
        assert draw.error is None
        assert draw.samples[0].text == greedy_by_transformers(model, prompt, plain)


@pytest.mark.parametrize("kind", ["shared", "copied"])
def test_a_token_whose_numbers_are_none_harms_only_prompts_that_hold_it(
    llama: LoadedModel, make_prompt: MakePrompt, kind: str
) -> None:
    """Pads are tokens of the prompt itself: no mask hides what is no number."""
    broken: Any = deepcopy(llama.network if kind == "shared" else plain_network(llama))
    held = make_prompt("I went down to the harbour", model=llama, temperature=0.0)
    unheld = next(n for n in range(llama.num_embeddings) if n not in held.token_ids and n > 0)
    with torch.no_grad():
        broken.get_input_embeddings().weight[[0, unheld]] = torch.nan
    model = replace(llama, network=broken)
    long = replace(held, token_ids=held.token_ids[1:] * 3)
    short = replace(long, token_ids=held.token_ids[1:3])
    bad = replace(long, token_ids=(*short.token_ids, unheld))

    draws = list(TorchEngine(model, max_batch_tokens=16_384).generate([short, long, bad]))

    assert [draw.error is None for draw in draws] == [True, True, False]
    assert draws[0] == next(iter(TorchEngine(model).generate([short])))
