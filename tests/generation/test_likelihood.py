"""A score is the log-probability that transformers' own loss gives, whoever shares the batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from personalm.errors import EngineError
from personalm.generation import likelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.generation.likelihood import Pair
    from personalm.generation.loading import LoadedModel

PAIRS: tuple[Pair, ...] = (
    ((11, 12, 13, 14, 15, 16, 17, 18, 19), (21, 22, 23)),
    ((31,), (41, 42, 43, 44, 45, 46, 47, 48, 49, 50)),
    ((51, 52), (61,)),
    ((11, 12, 13), (21, 22, 23)),
    ((71, 72, 73, 74, 75, 76, 77), (81, 82, 83, 84, 85)),
)


def score(model: LoadedModel, pairs: Sequence[Pair], **given: int) -> list[float]:
    """Return the score of each target as a whole."""
    return [target.logprob for target in likelihood.score(model, pairs, **given)]


def loss_of(model: LoadedModel, pair: Pair) -> float:
    """Return the summed loss of the target by transformers' own arithmetic."""
    prompt, target = pair
    labels = torch.tensor([[-100] * len(prompt) + list(target)])
    with torch.inference_mode():
        output = model.network(input_ids=torch.tensor([[*prompt, *target]]), labels=labels)
    return float(output.loss) * len(target)


def test_a_score_is_the_negative_of_transformers_loss(model: LoadedModel) -> None:
    """The loss of a target, its prompt masked out, is its score for the other sign."""
    scores = score(model, PAIRS)

    assert scores == pytest.approx([-loss_of(model, pair) for pair in PAIRS], abs=1e-3)


@pytest.mark.parametrize("max_batch_tokens", [1, 15, 40, 10_000])
def test_a_score_does_not_depend_on_the_batch(model: LoadedModel, max_batch_tokens: int) -> None:
    """Alone, in twos or all together, in whichever order: the numbers are the same."""
    alone = [score(model, [pair])[0] for pair in PAIRS]

    assert score(model, PAIRS, max_batch_tokens=max_batch_tokens) == pytest.approx(alone, abs=1e-3)
    assert score(model, PAIRS[::-1]) == pytest.approx(alone[::-1], abs=1e-3)


HEAD = tuple(range(100, 160))
OF_ONE_TEMPLATE: tuple[Pair, ...] = (
    ((*HEAD, 11, 12, 13), (21, 22, 23)),
    ((*HEAD, 11, 14), (41, 42)),
    (HEAD, (51, 52, 53, 54)),
    ((*HEAD, 11, 12, 13), (29,)),
    ((71, 72), (81, 82)),
    (HEAD[:40], (61, 62)),
)


@pytest.mark.parametrize("max_batch_tokens", [1, 12, 10_000])
def test_what_prompts_begin_with_is_read_once(
    model: LoadedModel, max_batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores are those of each pair alone, which has nothing to share."""
    alone = [score(model, [pair])[0] for pair in OF_ONE_TEMPLATE]
    num_read = 0
    forward = model.network.forward

    def count(*args: Any, **given: Any) -> Any:
        nonlocal num_read
        num_read += given["input_ids"].numel()
        return forward(*args, **given)

    monkeypatch.setattr(model.network, "forward", count)
    scores = score(model, OF_ONE_TEMPLATE, max_batch_tokens=max_batch_tokens)

    assert scores == pytest.approx(alone, abs=1e-3)
    num_tokens = sum(len(prompt) + len(target) for prompt, target in OF_ONE_TEMPLATE)
    # Five begin with the same 40 tokens; one prompt is no more than these, and keeps its last.
    assert num_read < num_tokens - 3 * 39


def test_many_endings_of_one_prompt_score_as_each_alone(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt is read once, however many follow it and whatever their lengths."""
    beginning = tuple(range(5, 45))
    endings = ((9, 10, 11), (12,), (13, 14), (9, 10, 12), (12, 9, 9, 9))
    alone = [score(model, [(beginning, ending)])[0] for ending in endings]
    lengths: list[int] = []
    forward = model.network.forward

    def note(*args: Any, **given: Any) -> Any:
        lengths.append(given["input_ids"].shape[-1])
        return forward(*args, **given)

    monkeypatch.setattr(model.network, "forward", note)

    assert score(model, [(beginning, e) for e in endings]) == pytest.approx(alone, abs=1e-3)
    assert lengths == [len(beginning) - 1, 4]


def test_a_target_is_greedy_where_each_token_is_the_likeliest(model: LoadedModel) -> None:
    """What greedy drawing writes is, and one token of it changed is not; pads do not count."""
    prompt = (5, 6, 7, 8)
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(3):
            logits = model.network(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
    drawn = tuple(ids[len(prompt) :])
    changed = (*drawn[:-1], (drawn[-1] + 1) % model.num_embeddings)

    found = likelihood.score(model, [(prompt, t) for t in (drawn, changed, drawn[:1], ())])

    assert [each.is_greedy for each in found] == [True, False, True, True]
    assert [len(each.logprobs) for each in found] == [3, 3, 1, 0]


def test_the_parts_of_a_target_add_up(model: LoadedModel) -> None:
    """The chain rule: a target is its first half, then its second half after the first."""
    prompt, target = (5, 6, 7), (8, 9, 10, 11)

    whole, first, second = score(
        model, [(prompt, target), (prompt, target[:2]), (prompt + target[:2], target[2:])]
    )

    assert whole == pytest.approx(first + second, abs=1e-3)


def test_all_first_tokens_together_have_probability_one(gpt2: LoadedModel) -> None:
    """Scores are natural logarithms of probabilities: over the vocabulary they sum to one."""
    scores = score(gpt2, [((3, 4), (token,)) for token in range(gpt2.num_embeddings)])

    assert torch.tensor(scores).exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_an_empty_prompt_is_the_start_of_a_text(gpt2: LoadedModel) -> None:
    """Without a prompt the model's own start token stands before the target."""
    start = gpt2.tokenizer.prefix_ids

    assert start
    assert score(gpt2, [((), (8, 9))]) == score(gpt2, [(start, (8, 9))])


def test_an_empty_target_is_certain(gpt2: LoadedModel) -> None:
    """Nothing is asked of the model, and nothing is read for it."""
    assert score(gpt2, [((8, 9), ()), ((), ())]) == [0.0, 0.0]
    assert score(gpt2, []) == []


def test_what_the_model_cannot_read_is_refused(gpt2: LoadedModel) -> None:
    """Neither too many tokens nor unknown ones reach the device."""
    positions = gpt2.card.max_positions
    tokenizer = type("Bare", (), {"prefix_ids": ()})()

    with pytest.raises(EngineError, match="do not fit 256 positions"):
        score(gpt2, [((1,) * positions, (2,))])
    with pytest.raises(EngineError, match="outside of the model's"):
        score(gpt2, [((1,), (gpt2.num_embeddings,))])
    with pytest.raises(EngineError, match="no start token"):
        score(replace(gpt2, tokenizer=tokenizer), [((), (2,))])
    assert score(gpt2, [((1,) * (positions - 1), (2,))])
