"""Batches of examples: which are read together, and as what tensors.

An example is a row of its own and sees nothing but itself. Pads stand on the left, so that all
targets of a batch end together, and the model works out logits for no more than the longest
target. Labels are chosen by length, never by token: an end of text that is also the pad is learned.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.training.examples import Example

IGNORED = -100
"""Label of a position that is not learned; what torch's cross entropy leaves out."""

Plan: TypeAlias = list[list[int]]
"""Rows of each batch, in the order in which batches are read."""

_LIKE_LENGTHS = 16


def plan_batches(
    examples: Sequence[Example], *, batch_tokens: int, epochs: int = 1, seed: int | None = None
) -> Plan:
    """Return the batches of all epochs, each of at most so many tokens, pads counted.

    Every epoch has every example once. An example that is longer than a batch may be is a batch
    of its own. The order depends on the seed alone; None: by length.
    """
    plan: Plan = []
    for epoch in range(epochs):
        chance = random.Random(f"{seed}-{epoch}")  # noqa: S311 - no secret
        rows = list(range(len(examples)))
        if seed is not None:
            chance.shuffle(rows)
        # Of like length go together: a batch has few pads, and other neighbours in each epoch.
        rows.sort(key=lambda row: examples[row].num_tokens // _LIKE_LENGTHS)
        batches: Plan = []
        longest = 0
        for row in rows:
            longest = max(longest, examples[row].num_tokens)
            if not batches or (len(batches[-1]) + 1) * longest > batch_tokens:
                batches.append([])
                longest = examples[row].num_tokens
            batches[-1].append(row)
        if seed is not None:
            chance.shuffle(batches)
        plan += batches
    return plan


def collate(examples: Sequence[Example], *, pad_id: int) -> dict[str, Any]:
    """Return the inputs of a model for a batch.

    Shapes: `input_ids`, `attention_mask` and `position_ids` (rows, longest example); `labels`
    (rows, longest target + 1), for the last positions alone, which `logits_to_keep` asks for.
    """
    width = max(example.num_tokens for example in examples)
    kept = max(len(example.target_ids) for example in examples) + 1
    ids, mask, labels = [], [], []
    for example in examples:
        num_pads = width - example.num_tokens
        ids.append([pad_id] * num_pads + [*example.prompt_ids, *example.target_ids])
        mask.append([0] * num_pads + [1] * example.num_tokens)
        target = example.target_ids
        labels.append([IGNORED] * (kept - len(target)) + list(target))
    attention_mask = torch.tensor(mask)
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": attention_mask,
        "position_ids": (attention_mask.cumsum(-1) - 1).clamp(min=0),
        "labels": torch.tensor(labels),
        "logits_to_keep": kept,
    }
