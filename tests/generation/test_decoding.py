"""Keys and values that are shared give the logits of ordinary attention."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.generation.decoding import CopiedDecoding, Decoding, SharedDecoding
from personalm.generation.prefill import Heads, cut_by_length
from personalm.generation.shared_prefix import SHARED_PREFIX, attend, can_share
from tests.generation.reference import plain_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.generation.loading import LoadedModel

HEAD = (11, 12, 13, 14, 15, 16, 17)
OTHER_HEAD = (21, 22, 23)
PROMPTS = (
    (*HEAD, 31, 32, 33),
    (5,),
    (*OTHER_HEAD, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51),
    (*HEAD, 61),
)
NUM_HEAD_TOKENS = (len(HEAD), 0, len(OTHER_HEAD), len(HEAD))
OWNERS = (0, 0, 0, 1, 2, 2, 3, 3, 3, 3)
STEPS = 6
# Rows that end before each step; the second prompt ends first, then the third.
KEPT: dict[int, tuple[int, ...]] = {2: (0, 2, 4, 6, 8), 4: (0, 3, 4)}
# Rows that end with their first token, and rows that leave without making room.
KEPT_EARLY: dict[int, tuple[int, ...]] = {0: (1, 2, 5, 9), 1: (0, 2, 3), 3: (1, 2)}


def open_shared(model: LoadedModel, heads: Heads | None = None) -> SharedDecoding:
    """Open the prompts above."""
    return SharedDecoding(
        model,
        PROMPTS,
        OWNERS,
        heads=Heads() if heads is None else heads,
        num_head_tokens=NUM_HEAD_TOKENS,
        room=STEPS,
    )


def token_at(row: int, step: int) -> int:
    """Return a token that differs from row to row and step to step."""
    return 70 + 9 * row + step


@torch.inference_mode()
def walk(
    decoding: Decoding, kept: dict[int, tuple[int, ...]] = KEPT
) -> list[tuple[list[int], torch.Tensor]]:
    """Return the rows that live, and their logits, after the prompts and after every step."""
    rows = list(range(len(OWNERS)))
    seen = [(list(rows), decoding.start())]
    for step in range(STEPS):
        if step in kept:
            decoding.keep(kept[step])
            rows = [rows[place] for place in kept[step]]
        seen.append((list(rows), decoding.step(torch.tensor([token_at(r, step) for r in rows]))))
    return seen


@torch.inference_mode()
def logits_alone(model: LoadedModel, tokens: Sequence[int]) -> torch.Tensor:
    """Return the logits after a text that is read whole, by transformers alone."""
    logits: torch.Tensor = plain_network(model)(input_ids=torch.tensor([tokens])).logits[0, -1]
    return logits


@pytest.mark.parametrize("kept", [KEPT, KEPT_EARLY], ids=["late", "early"])
@pytest.mark.parametrize("kind", ["shared", "copied"])
def test_the_logits_of_every_step_are_those_of_the_text_read_alone(
    model: LoadedModel, kind: str, kept: dict[int, tuple[int, ...]]
) -> None:
    """Prompts of many lengths, two heads and none, rows that leave, prompts that lose all rows."""
    decoding = open_shared(model) if kind == "shared" else CopiedDecoding(model, PROMPTS, OWNERS)

    for step, (rows, logits) in enumerate(walk(decoding, kept)):
        for row, of_row in zip(rows, logits, strict=True):
            text = (*PROMPTS[OWNERS[row]], *(token_at(row, s) for s in range(step)))
            torch.testing.assert_close(of_row, logits_alone(model, text), atol=2e-5, rtol=1e-5)


def test_a_head_is_read_once_and_gives_the_same_numbers_to_all(model: LoadedModel) -> None:
    """A group that finds its heads read gets the very logits of one that reads them itself."""
    heads = Heads()
    first = [logits for _, logits in walk(open_shared(model, heads))]
    before = len(heads)
    again = [logits for _, logits in walk(open_shared(model, heads))]

    assert before == len(heads) == 2
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_row_of_broken_numbers_spoils_no_other_row_of_its_prompt(
    model: LoadedModel, bad: float
) -> None:
    """Its keys and values stand beside those of the others; its logits are marked ever after."""
    sound = [logits for _, logits in walk(open_shared(model), {})]
    embeddings: Any = model.network.get_input_embeddings()
    weight = embeddings.weight.data
    place = token_at(0, 2)
    before = weight[place].clone()
    try:
        weight[place] = bad
        broken = [logits for _, logits in walk(open_shared(model), {})]
    finally:
        weight[place] = before

    # An output layer may share its weights with the embeddings.
    others = [token for token in range(sound[0].shape[1]) if token != place]
    # After the prompts and two sound tokens of every row.
    assert all(bool(logits[0, others].isfinite().all()) for logits in broken[:3])
    assert not any(bool(logits[0, others].isfinite().all()) for logits in broken[3:])
    for a, b in zip(sound, broken, strict=True):
        torch.testing.assert_close(a[1:, others], b[1:, others])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=60))
def test_parts_of_like_length_hold_every_text_once_and_few_pads(lengths: list[int]) -> None:
    """A part that is cut off has enough tokens to be worth a reading."""
    places = sorted(range(len(lengths)), key=lengths.__getitem__)
    parts = list(cut_by_length(places, lengths, 512))

    assert [place for part in parts for place in part] == places
    assert all(sum(lengths[i] for i in part) >= 512 for part in parts[:-1])
    for part in parts:
        start = next(
            n
            for n in range(1, len(part) + 1)
            if sum(lengths[i] for i in part[:n]) >= 512 or n == len(part)
        )
        padded = len(part) * lengths[part[-1]]
        assert len(part) == start or 7 * padded <= 8 * sum(lengths[i] for i in part)


def test_heads_forget_the_one_longest_unused(model: LoadedModel) -> None:
    """The memory of heads is bounded."""
    heads = Heads(size=2)
    with torch.inference_mode():
        kept = heads.read(model, (1, 2))
        heads.read(model, (3, 4))
        assert heads.read(model, (1, 2)) is kept
        heads.read(model, (5, 6))

        assert len(heads) == 2
        assert heads.read(model, (1, 2)) is kept


@pytest.mark.parametrize(
    "named",
    [
        {"sliding_window": 128},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {"attn_logit_softcapping": 50.0},
        {"reorder_and_upcast_attn": True},
    ],
)
def test_a_model_with_another_attention_does_not_share(named: dict[str, Any]) -> None:
    """What the shared attention does not know would be left out without a word."""
    plain: Any = SimpleNamespace(_supports_attention_backend=True, config=SimpleNamespace())
    other: Any = SimpleNamespace(_supports_attention_backend=True, config=SimpleNamespace(**named))
    unused: Any = SimpleNamespace(
        _supports_attention_backend=True,
        config=SimpleNamespace(sliding_window=128, use_sliding_window=False),
    )

    assert can_share(plain)
    assert can_share(unused)
    assert not can_share(other)


@pytest.mark.parametrize("name", ["sliding_window", "softcap", "s_aux"])
def test_an_attention_that_asks_for_more_is_refused(name: str) -> None:
    """Never silently another result."""
    shared: Any = object()
    one = torch.zeros(1, 1, 1, 4)
    asked: dict[str, Any] = {name: 1.0}

    with pytest.raises(NotImplementedError, match=name):
        attend(None, one, one, one, None, shared=shared, **asked)


def test_the_tiny_models_share(model: LoadedModel) -> None:
    """The tests of the engine are tests of the shared attention."""
    assert model.network.config._attn_implementation == SHARED_PREFIX
