"""What transformers says by itself: the measure of the engine's own arithmetic."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel
    from personalm.records import Sampling


def plain_network(model: LoadedModel) -> Any:
    """Return a model's network as transformers loads it, with the attention written out."""
    return _load(model.card.name)


@cache
def _load(folder: str) -> Any:
    network: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return network.eval()


@torch.inference_mode()
def logits_after(model: LoadedModel, before: Sequence[int], tokens: Sequence[int]) -> Tensor:
    """Return the logits from which each token came, (tokens, vocabulary): one text, no padding."""
    whole = torch.tensor([[*before, *tokens]])
    logits: Tensor = plain_network(model)(input_ids=whole).logits[0]
    return logits[len(before) - 1 : -1]


def generated(network: Any, before: Sequence[int], **settings: Any) -> list[list[int]]:
    """Return the new tokens of transformers' own `generate`, with no setting but these."""
    network.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # not annotated
    ids = torch.tensor([before])
    whole = network.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **settings)
    new: list[list[int]] = whole[:, ids.shape[1] :].tolist()
    return new


def shares(logits: Tensor, said: Sequence[int], sampling: Sampling) -> Tensor:
    """Return the probabilities that transformers' processors make of the logits of one row."""
    chain = LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    chain.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        chain.append(MinPLogitsWarper(sampling.min_p))
    scores = chain(torch.LongTensor([list(said)]), logits[None].clone())
    return torch.softmax(scores[0], -1)
