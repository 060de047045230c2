"""Laws of batches: every example once an epoch, on its own, with the loss on its target alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personalm.generation.likelihood import score
from personalm.training.batches import IGNORED, collate, plan_batches
from personalm.training.examples import Example

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from personalm.generation.loading import LoadedModel


def example(prompt: Sequence[int], target: Sequence[int]) -> Example:
    """Make an example of token ids."""
    return Example(author=0, tier="0", prompt_ids=tuple(prompt), target_ids=tuple(target))


def of_lengths(*lengths: int) -> list[Example]:
    """Make examples of so many tokens, the last two of them a target."""
    return [example([7] * (length - 2), [8, 9]) for length in lengths]


@pytest.fixture(scope="session")
def model(tiny_gpt2: Path) -> LoadedModel:
    """Load the tiny GPT-2."""
    from personalm.generation.loading import load_model  # noqa: PLC0415 - heavy

    loaded = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    loaded.network.set_attn_implementation("sdpa")
    return loaded


def loss_of(model: LoadedModel, examples: Sequence[Example], **changed: Any) -> float:
    """Return the loss of a batch."""
    with torch.inference_mode():
        loss: float = model.network(**{**collate(examples, pad_id=0), **changed}).loss.item()
    return loss


@given(
    lengths=st.lists(st.integers(3, 300), min_size=1, max_size=60),
    batch_tokens=st.integers(16, 900),
    epochs=st.integers(1, 3),
    seed=st.none() | st.integers(0, 99),
)
def test_an_epoch_has_every_example_once_in_batches_that_fit(
    lengths: list[int], batch_tokens: int, epochs: int, seed: int | None
) -> None:
    """The short last batch and an example longer than a batch included; pads are counted."""
    examples = of_lengths(*lengths)
    plan = plan_batches(examples, batch_tokens=batch_tokens, epochs=epochs, seed=seed)

    assert sorted(row for batch in plan for row in batch) == sorted([*range(len(lengths))] * epochs)
    for batch in plan:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens


def test_the_order_of_batches_is_that_of_the_seed() -> None:
    """Another epoch and another seed have another order; the same seed the same."""
    examples = of_lengths(*[random.Random(n).randint(3, 90) for n in range(64)])  # noqa: S311 - no secret
    one, same, other = (
        plan_batches(examples, batch_tokens=200, epochs=2, seed=seed) for seed in (1, 1, 2)
    )

    assert one == same != other
    assert one[: len(one) // 2] != one[len(one) // 2 :]


def test_the_loss_is_that_of_the_targets_alone(model: LoadedModel) -> None:
    """It is the likelihood of each target after its prompt, whatever stands beside it."""
    examples = [example([5, 6, 7, 8, 9], [10, 11, 12]), example([40], [41, 42])]
    scores = score(model, [(e.prompt_ids, e.target_ids) for e in examples])

    assert loss_of(model, examples) == pytest.approx(
        -sum(each.logprob for each in scores) / 5, rel=1e-4
    )


def test_no_token_of_a_prompt_is_learned(model: LoadedModel) -> None:
    """The labels of prompt and pads are ignored: other tokens there would change nothing."""
    examples = [example([5, 6, 7, 8, 9], [10, 11, 12]), example([40], [41, 42])]
    labels = collate(examples, pad_id=0)["labels"]

    assert labels.tolist() == [[IGNORED, 10, 11, 12], [IGNORED, IGNORED, 41, 42]]
    assert loss_of(model, examples) == loss_of(model, examples, labels=labels)
    assert loss_of(model, examples) != loss_of(model, examples, labels=labels.clamp(min=3))


def test_an_end_of_text_that_is_also_the_pad_is_learned(model: LoadedModel) -> None:
    """Labels go by length: the end of a target counts, a pad of the same id does not."""
    end = next(iter(model.eos_ids))
    examples = [example([5, 6, 7, 8], [9, end]), example([5], [end])]
    batch = collate(examples, pad_id=end)

    assert batch["labels"].tolist() == [[IGNORED, 9, end], [IGNORED, IGNORED, end]]
    assert batch["attention_mask"].sum(-1).tolist() == [6, 2]


def test_what_another_example_holds_changes_nothing(model: LoadedModel) -> None:
    """Rows do not see each other: exactly the same logits beside other neighbours."""
    own = example([5, 6, 7], [8, 9])
    with torch.inference_mode():
        beside = [
            model.network(**collate([own, other], pad_id=0)).logits[0, -3:]
            for other in (example([20, 21, 22], [23, 24]), example([90, 91, 92], [93, 94]))
        ]

    assert torch.equal(*beside)


def test_pads_change_nothing_but_rounding(model: LoadedModel) -> None:
    """An example of its own and beside a longer one has the same loss."""
    short, long = example([5, 6], [7, 8]), example(range(10, 90), [7, 8])
    alone, both = loss_of(model, [short]), loss_of(model, [short, long])

    assert both == pytest.approx((alone + loss_of(model, [long])) / 2, rel=1e-4)
