"""Laws of endings: read after one beginning, each scores what it scores alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from personalm.generation.endings import score_endings
from personalm.generation.likelihood import score

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel

BEGINNING = (5, 6, 7, 8)
ENDINGS = ((9, 10, 11), (12,), (13, 14), (9, 10, 12))


def test_many_endings_score_as_pairs_do(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their lengths, and however they are cut into batches."""
    expected = score(model, [(BEGINNING, ending) for ending in ENDINGS])
    whole = [each.logprob for each in score_endings(model, BEGINNING, ENDINGS)]
    monkeypatch.setattr("personalm.generation.endings._MAX_BATCH_TOKENS", 3)
    apart = [each.logprob for each in score_endings(model, BEGINNING, ENDINGS)]

    assert whole == pytest.approx(expected, rel=1e-4)
    assert apart == pytest.approx(expected, rel=1e-4)


def test_an_ending_is_greedy_where_each_token_is_the_likeliest(model: LoadedModel) -> None:
    """What greedy drawing writes is, and one token of it changed is not."""
    ids = list(BEGINNING)
    with torch.inference_mode():
        for _ in range(3):
            logits = model.network(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
    drawn = tuple(ids[len(BEGINNING) :])
    changed = (*drawn[:-1], (drawn[-1] + 1) % model.num_embeddings)

    found = score_endings(model, BEGINNING, [drawn, changed])

    assert [each.is_greedy for each in found] == [True, False]
