"""Tokens are drawn as the settings of each row say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TopPLogitsWarper

from personalm.generation.sampler import Sampler, find_largest, logprobs_of
from personalm.records import Sampling
from tests.generation.reference import shares
from tests.generation.watching import Operations

VOCABULARY = 12


def make_sampler(num_rows: int, said: tuple[int, ...] = (), **values: Any) -> Sampler:
    """Return a sampler whose rows share their settings, and have said these tokens."""
    sampling = Sampling(**{"max_new_tokens": 9, "top_k": 0, "top_p": 1.0, **values})
    sampler = Sampler([sampling] * num_rows, list(range(num_rows)), vocabulary=VOCABULARY)
    for token in said:
        assert say(sampler, token, num_rows) == {token}
    return sampler


def say(sampler: Sampler, token: int, num_rows: int) -> set[int]:
    """Draw from logits that leave one token; return what was drawn."""
    logits = torch.full((num_rows, VOCABULARY), -torch.inf)
    logits[:, token] = 0.0
    return set(sampler.draw(logits)[0].tolist())


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 0.6, "top_k": 5, "top_p": 1.0},
        {"temperature": 1.3, "top_k": 0, "top_p": 0.8},
        {"temperature": 1.0, "top_k": 8, "top_p": 0.9, "repetition_penalty": 1.7},
        {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.2},
        {"temperature": 0.7, "top_k": 9, "top_p": 0.95, "min_p": 0.1},
    ],
)
def test_draws_follow_the_distribution_of_transformers(values: dict[str, Any]) -> None:
    """Chi-square of 20,000 draws against the softmax of transformers' processors."""
    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(1)) * 1.5
    expected_shares = shares(logits, [1, 4], Sampling(max_new_tokens=9, **values))
    sampler = make_sampler(20_000, (1, 4), **values)

    tokens, failed, _ = sampler.draw(logits.expand(20_000, -1))

    counts = torch.bincount(tokens, minlength=VOCABULARY).float()
    possible = expected_shares > 0
    assert not failed.any()
    assert counts[~possible].sum() == 0
    expected = expected_shares[possible] * 20_000
    chi_square = float(((counts[possible] - expected) ** 2 / expected).sum())
    assert chi_square < 37  # 11 degrees of freedom at most: above once in some 10,000


@settings(deadline=None)
@given(
    logits=st.lists(
        st.lists(st.floats(-30, 30, width=32), min_size=VOCABULARY, max_size=VOCABULARY),
        min_size=2,
        max_size=5,
    ),
    top_k=st.integers(0, 14),
    top_p=st.floats(0.0, 1.0),
    temperature=st.floats(0.0, 5.0),
)
def test_a_row_draws_the_same_token_alone_and_beside_rows_of_other_settings(
    logits: list[list[float]], top_k: int, top_p: float, temperature: float
) -> None:
    """Prompts of several kinds may share a batch."""
    own = Sampling(max_new_tokens=9, top_k=top_k, top_p=top_p, temperature=temperature)
    other = Sampling(max_new_tokens=9, top_k=3, repetition_penalty=1.5)
    scores = torch.tensor(logits)
    beside = [own, *[other] * (len(logits) - 1)]
    together = Sampler(beside, list(range(len(logits))), vocabulary=VOCABULARY)
    alone = Sampler([own], [0], vocabulary=VOCABULARY)

    tokens, failed, _ = together.draw(scores)

    assert not failed.any()
    assert tokens[0] == alone.draw(scores[:1])[0]


@pytest.mark.parametrize(
    "values", [{"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.0}, {"temperature": 1e-40}]
)
def test_settings_that_leave_one_token_take_the_likeliest(values: dict[str, Any]) -> None:
    """Greedy, top one, an empty nucleus and a temperature near nothing agree."""
    logits = torch.randn(50, VOCABULARY, generator=torch.Generator().manual_seed(2))

    tokens, failed, _ = make_sampler(50, **values).draw(logits)

    assert torch.equal(tokens, logits.argmax(-1))
    assert not failed.any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_row_without_finite_logits_fails_alone(bad: float) -> None:
    """Its neighbours draw what they would have drawn."""
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(3))
    good = make_sampler(3).draw(logits)[0]
    logits[1, 5] = bad

    tokens, failed, _ = make_sampler(3).draw(logits)

    assert failed.tolist() == [False, True, False]
    assert tokens[0] == good[0]
    assert tokens[2] == good[2]


def test_a_row_keeps_to_its_own_top_k_beside_rows_with_a_larger_one() -> None:
    """The wider row draws from all of its tokens, the narrow one from two."""
    samplings = [
        Sampling(max_new_tokens=9, temperature=1.0, top_p=1.0, top_k=top_k)
        for top_k in (2, VOCABULARY - 1) * 500
    ]
    sampler = Sampler(samplings, list(range(1000)), vocabulary=VOCABULARY)

    tokens, _, _ = sampler.draw(torch.linspace(0, 1, VOCABULARY).expand(1000, -1))

    assert set(tokens[::2].tolist()) == {VOCABULARY - 1, VOCABULARY - 2}
    assert set(tokens[1::2].tolist()) == set(range(1, VOCABULARY))


def test_tokens_a_model_forbids_are_never_drawn() -> None:
    """Minus infinity is a legal logit and no failure."""
    logits = torch.full((200, VOCABULARY), -torch.inf)
    logits[:, 4] = 1.0

    tokens, failed, _ = make_sampler(200).draw(logits)

    assert tokens.tolist() == [4] * 200
    assert not failed.any()


def test_rows_that_stay_keep_their_noise_and_their_memory() -> None:
    """Leaving rows change nothing for the others."""
    logits = torch.zeros(4, VOCABULARY)
    whole = make_sampler(4, repetition_penalty=2.0)
    some = make_sampler(4, repetition_penalty=2.0)
    whole.draw(logits)
    some.draw(logits)
    some.keep([1, 3])

    expected = [whole.draw(logits)[0][[1, 3]].tolist() for _ in range(5)]
    assert [some.draw(logits[:2])[0].tolist() for _ in range(5)] == expected


def test_a_step_has_noise_of_its_own() -> None:
    """The same logits twice give other tokens."""
    sampler = make_sampler(64)
    logits = torch.zeros(64, VOCABULARY)

    assert not torch.equal(sampler.draw(logits)[0], sampler.draw(logits)[0])


def test_a_penalty_looks_at_the_new_text_alone() -> None:
    """What the prompt says may be said: a sampler is not even told the prompt."""
    logits = torch.zeros(1, VOCABULARY)
    logits[0, 3] = 1.0
    sampler = make_sampler(1, temperature=0.0, repetition_penalty=1.5)
    logits[0, 5] = 0.9

    drawn = [int(sampler.draw(logits)[0]) for _ in range(3)]

    assert drawn == [3, 5, 3]


@settings(deadline=None)
@given(
    tokens=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=3),
)
def test_no_ngram_is_ever_said_twice(tokens: list[int], sizes: list[int]) -> None:
    """A token is forbidden exactly when it would complete an n-gram that is there already."""
    samplings = [
        Sampling(max_new_tokens=len(tokens), temperature=0.0, no_repeat_ngram=size)
        for size in sizes
    ]
    sampler = Sampler(samplings, list(range(len(sizes))), vocabulary=VOCABULARY)
    said: list[int] = []
    for token in tokens:
        for row, size in enumerate(sizes):
            seen = {tuple(said[i : i + size]) for i in range(len(said) - size + 1)}
            head = said[len(said) - size + 1 :] if size else []
            complete = {t for t in range(VOCABULARY) if len(head) == size - 1}
            expected = {t for t in complete if (*head, t) in seen}
            scores = torch.zeros(len(sizes), VOCABULARY)
            if sampler._ngrams:
                sampler._forbid(scores)
            assert {t for t in range(VOCABULARY) if scores[row, t] < 0} == expected
        # A token that is forbidden is drawn all the same where it is the only one.
        assert say(sampler, token, len(sizes)) == {token}
        said.append(token)


def test_rows_with_and_without_a_limit_of_ngrams_share_a_batch() -> None:
    """One row may repeat itself, its neighbour may not."""
    logits = torch.zeros(2, VOCABULARY)
    logits[:, 7] = 9.0
    free = Sampling(max_new_tokens=9, temperature=0.0)
    strict = Sampling(max_new_tokens=9, temperature=0.0, no_repeat_ngram=1)
    sampler = Sampler([free, strict], [0, 1], vocabulary=VOCABULARY)

    first, second = sampler.draw(logits.clone())[0], sampler.draw(logits.clone())[0]

    assert first.tolist() == [7, 7]
    assert second[0] == 7
    assert second[1] != 7


def test_a_row_that_may_say_nothing_new_repeats_itself_rather_than_fail() -> None:
    """A limit never leaves a row without a token."""
    logits = torch.full((1, VOCABULARY), -torch.inf)
    logits[0, 2] = 0.0
    sampler = make_sampler(1, no_repeat_ngram=1)

    drawn = [sampler.draw(logits.clone()) for _ in range(2)]

    assert [int(tokens) for tokens, _, _ in drawn] == [2, 2]
    assert not any(failed.any() for _, failed, _ in drawn)


def test_log_probabilities_are_those_of_the_model() -> None:
    """They are what the softmax of the raw logits says, whatever the settings of sampling."""
    logits = torch.randn(5, VOCABULARY, generator=torch.Generator().manual_seed(4))
    tokens = torch.tensor([0, 3, 3, 7, 11])

    expected = torch.log_softmax(logits, -1)[torch.arange(5), tokens]
    assert torch.allclose(logprobs_of(logits, tokens), expected, atol=1e-6)
    sampler = make_sampler(5, (1, 4), repetition_penalty=1.7, no_repeat_ngram=1, top_k=3)
    drawn, _, logprobs = sampler.draw(logits)
    assert torch.allclose(logprobs, logprobs_of(logits, drawn), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    vocabulary=st.sampled_from([300, 512, 13_000, 13_055]),
    number=st.sampled_from([1, 5, 40]),
    seed=st.integers(0, 2**31),
)
def test_the_largest_scores_are_those_of_a_full_sort(
    vocabulary: int, number: int, seed: int
) -> None:
    """Blocks are an order of looking, and nothing is overlooked."""
    scores = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(seed))
    scores[1, : vocabulary // 2] = -torch.inf
    values, ids = find_largest(scores, number)

    assert torch.equal(values, scores.sort(dim=-1, descending=True).values[:, :number])
    assert torch.equal(scores.gather(-1, ids), values)
    assert all(len(set(row)) == number for row in ids.tolist())


@pytest.mark.parametrize("spread", [0.1, 1.0, 6.0], ids=["flat", "usual", "peaked"])
@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.999])
def test_a_nucleus_of_the_whole_vocabulary_is_exact(spread: float, top_p: float) -> None:
    """Also where the first few hundred tokens do not hold it."""
    vocabulary, num_rows = 3_000, 400
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(2)) * spread
    allowed = TopPLogitsWarper(top_p)(torch.zeros(1, 1, dtype=torch.int64), logits[None].clone())
    sampling = Sampling(max_new_tokens=9, temperature=1.0, top_k=0, top_p=top_p)
    sampler = Sampler([sampling] * num_rows, list(range(num_rows)), vocabulary=vocabulary)
    values, ids, _ = sampler._filter(logits.expand(num_rows, -1))

    assert sorted(ids[0][values[0].isfinite()].tolist()) == (
        allowed[0].isfinite().nonzero()[:, 0].tolist()
    )
    tokens, _, _ = sampler.draw(logits.expand(num_rows, -1))
    assert bool(allowed[0][tokens].isfinite().all())


@pytest.mark.parametrize("top_k", [0, 50])
@pytest.mark.parametrize(("spread", "most"), [(5.0, 256), (0.1, 50_257)], ids=["usual", "flat"])
def test_the_vocabulary_is_brought_into_order_only_where_a_nucleus_needs_it(
    top_k: int, spread: float, most: int
) -> None:
    """The likeliest few hundred tokens hold a usual nucleus, and all of a flat one."""
    logits = torch.randn(4, 50_257, generator=torch.Generator().manual_seed(3)) * spread
    sampling = Sampling(max_new_tokens=9, temperature=1.0, top_k=top_k, top_p=0.95)
    sampler = Sampler([sampling] * 4, list(range(4)), vocabulary=50_257)

    numbers: list[int] = []

    def note(name: str, args: Any) -> None:
        if name in {"sort", "argsort", "msort"}:
            numbers.append(args[0].shape[-1])
        if name == "topk":
            numbers.append(args[1])

    with Operations(note):
        sampler.draw(logits)

    assert max(numbers) == (top_k or most)


def test_drawing_leaves_the_logits_as_they_are() -> None:
    """They tell afterwards how likely the model itself found what was drawn."""
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(4))
    before = logits.clone()
    sampler = make_sampler(3, temperature=0.0, no_repeat_ngram=1)

    tokens = {int(sampler.draw(logits)[0][0]) for _ in range(5)}

    assert len(tokens) == 5
    assert torch.equal(logits, before)
