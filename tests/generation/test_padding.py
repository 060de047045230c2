"""A token that fills up short rows is a token like any other where a prompt truly holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.generation.torch_engine import TorchEngine
from tests.generation.test_torch_engine import greedy_by_transformers

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel
    from tests.generation.conftest import MakePrompt


def test_a_prompt_that_holds_the_end_token_is_read_whole_beside_longer_ones(
    gpt2: LoadedModel, make_prompt: MakePrompt
) -> None:
    """At its start, middle and end: what is padding is told by lengths, not by ids."""
    (end,) = gpt2.eos_ids
    words = tuple(gpt2.tokenizer.encode("Went down to the harbour before work."))
    prompts = [
        make_prompt(user=f"u{n}", token_ids=ids, temperature=0.0)
        for n, ids in enumerate(
            [
                (end, *words),
                (end, *words[:3]),
                (*words, end, *words[:2]),
                (*words[:2], end, end),
                (end, end, end, *words * 4),
                (*words * 2, end),
            ]
        )
    ]

    draws = list(TorchEngine(gpt2, max_batch_tokens=16_384).generate(prompts))

    for prompt, draw in zip(prompts, draws, strict=True):
        assert draw.error is None
        assert draw.samples[0].text == greedy_by_transformers(gpt2, prompt)
