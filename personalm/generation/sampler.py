"""From logits to tokens: repetition, temperature, top-k, top-p, min-p, noise, in this order.

Every row has its own settings, so prompts of several kinds share a batch. The nucleus of top-p is
taken inside the top k, as transformers does; with `top_k = 0` it is exact over the vocabulary. The
largest score with its noise is the sample, so nothing here depends on a generator's state.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cache
from math import inf, log
from typing import TYPE_CHECKING

import torch

from personalm.generation.noise import gumbel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.records import Sampling


_BLOCK = 128
_FIRST = 256


@dataclass(slots=True, kw_only=True)
class _Rows:
    """What differs from row to row, a tensor (rows, ...) each.

    `history` holds the tokens drawn so far, then -1; it stays empty where no setting asks for it.
    """

    seeds: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    least: Tensor
    penalty: Tensor
    ngram: Tensor
    is_open: Tensor
    history: Tensor

    def keep(self, rows: Tensor) -> None:
        for name in _names():
            setattr(self, name, getattr(self, name)[rows])


@cache
def _names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(_Rows))


class Sampler:
    """Draws one token a row and step. It counts the steps and remembers what each row has said.

    What it does follows the settings alone, but for a nucleus of the whole vocabulary, which may
    have to be looked at twice (`has_fixed_work`).
    """

    def __init__(
        self,
        samplings: Sequence[Sampling],
        seeds: Sequence[int],
        *,
        vocabulary: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Take the settings and the seed of each row."""

        def column(values: Sequence[float], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device).unsqueeze(-1)

        full, num_rows = vocabulary, len(samplings)
        is_open = [s.top_k in {0, full} for s in samplings]
        room = max((s.max_new_tokens for s in samplings), default=0)
        self._full = full
        # A nucleus of the whole vocabulary mostly lies within the first few hundred tokens.
        self._width = max((min(s.top_k or _FIRST, full) for s in samplings), default=full)
        self._has_open = any(is_open)
        self._is_plain = all(is_open) and all(s.top_p >= 1 for s in samplings)
        self._has_least = any(s.min_p for s in samplings)
        self._has_penalty = any(s.repetition_penalty != 1 for s in samplings)
        self._ngrams = sorted(
            {s.no_repeat_ngram for s in samplings if 0 < s.no_repeat_ngram <= room}
        )
        self._writes = self._has_penalty or bool(self._ngrams)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._rows = _Rows(
            seeds=torch.tensor(seeds, dtype=torch.int64, device=device),
            temperature=column([s.temperature for s in samplings]),
            top_k=column([min(s.top_k or full, full) for s in samplings], torch.int64),
            top_p=column([s.top_p for s in samplings]),
            least=column([log(s.min_p) if s.min_p else -inf for s in samplings]),
            penalty=column([s.repetition_penalty for s in samplings]),
            ngram=column([s.no_repeat_ngram for s in samplings], torch.int64),
            is_open=column(is_open, torch.bool),
            history=torch.full((num_rows, room), -1, dtype=torch.int64, device=device),
        )

    @property
    def has_fixed_work(self) -> bool:
        """Whether every step does the same operations, whatever the logits are."""
        return self._is_plain or not self._has_open or self._width == self._full

    @property
    def work(self) -> tuple[object, ...]:
        """Everything but the number of rows that decides which operations a step does."""
        room = self._rows.history.shape[1]
        has = (self._has_open, self._is_plain, self._has_least, self._has_penalty)
        return (self._full, self._width, room, *self._ngrams, *has)

    @property
    def step(self) -> Tensor:
        """The number of steps drawn so far, (1)."""
        return self._step

    def draw(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a token for each row, which rows failed, and how likely the tokens were.

        A row fails where its logits are not finite. The log-probability is that of the logits as
        they are. Shapes: `logits` (rows, vocabulary); the results (rows), int64, bool, float32.
        """
        rows = self._rows
        scores = logits.float()
        # One pass over the vocabulary; torch's logsumexp makes four.
        logprobs = scores.log_softmax(-1)
        if self._writes and scores is logits:
            scores = scores.clone()
        if self._has_penalty:
            self._penalise(scores)
        if self._ngrams:
            self._forbid(scores)
        values, ids, largest = self._filter(scores)
        noise = torch.where(rows.temperature > 0, gumbel(rows.seeds, self._step, ids), 0.0)
        best = (values.double() + noise).argmax(-1, keepdim=True)
        tokens = ids.gather(-1, best)
        if self._writes:
            rows.history.index_copy_(-1, self._step, tokens)
        self._step += 1
        # What is drawn for a row that failed is some token, and nobody takes it.
        failed = ~torch.isfinite(largest)
        return tokens.squeeze(-1), failed.squeeze(-1), logprobs.gather(-1, tokens).squeeze(-1)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, given by their present places."""
        self._rows.keep(torch.tensor(rows, device=self._step.device))

    def pick(self, rows: Tensor) -> Sampler:
        """Return a sampler that goes on with these rows, some of them more than once perhaps."""
        other = copy(self)
        other._own(replace(self._rows), self._step.clone())  # noqa: SLF001 - of this class
        other._rows.keep(rows)  # noqa: SLF001 - the same
        return other

    def take(self, other: Sampler) -> None:
        """Go on where another sampler of the same work and as many rows stands.

        The tensors of this one stay where they are.
        """
        for name in _names():
            getattr(self._rows, name).copy_(getattr(other._rows, name))
        self._step.copy_(other._step)

    def _own(self, rows: _Rows, step: Tensor) -> None:
        self._rows, self._step = rows, step

    def _penalise(self, scores: Tensor) -> None:
        """Make what was said before less likely, in place."""
        history = self._rows.history
        # Steps to come stand for the first token, which is written several times then, always the
        # same; before there is one, a score is written over itself.
        first = history[:, :1]
        ids = torch.where(history < 0, first, history).clamp_(min=0)
        values = scores.gather(-1, ids)
        penalty = torch.where(first < 0, 1.0, self._rows.penalty)
        scores.scatter_(-1, ids, torch.where(values > 0, values / penalty, values * penalty))

    def _forbid(self, scores: Tensor) -> None:
        """Leave out the tokens that would say an n-gram again, unless nothing else is left."""
        found = [self._find_followers(size) for size in self._ngrams]
        ids = torch.cat([ids for ids, _ in found], dim=-1)
        is_again = torch.cat([is_again for _, is_again in found], dim=-1)
        before = scores.gather(-1, ids)
        # A token may stand here several times, so the smallest and largest of what is said wins.
        least = torch.where(is_again, -torch.inf, torch.inf)
        scores.scatter_reduce_(-1, ids, least, "amin")
        is_left = scores.amax(-1, keepdim=True) > -torch.inf
        back = torch.where(is_left | ~is_again, -torch.inf, before)
        scores.scatter_reduce_(-1, ids, back, "amax")

    def _find_followers(self, size: int) -> tuple[Tensor, Tensor]:
        """Return what followed each run of `size - 1` tokens, and where that run ends the text.

        Shapes: both (rows, room - size + 1); rows of other sizes find none.
        """
        history = self._rows.history
        followers = history[:, size - 1 :]
        is_again = (followers >= 0) & (self._rows.ngram == size)
        for back in range(1, size):
            # Where the text is shorter, no follower is there yet.
            last = history.index_select(-1, (self._step - back).clamp_(min=0))
            is_again &= history[:, size - 1 - back : history.shape[1] - back] == last
        return followers.clamp(min=0), is_again

    def _filter(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scaled scores, minus infinity where filtered out, their ids, the largest score."""
        if self._is_plain:
            ids = torch.arange(scores.shape[-1], device=scores.device).expand_as(scores)
            largest = scores.amax(-1, keepdim=True)
            values = self._scale(scores, largest)
        else:
            values, ids, largest = self._nucleus(scores, self._width)
        if self._has_least:
            # The likeliest token has the scaled score 0.
            values = values.masked_fill(values < self._rows.least, -torch.inf)
        return values, ids, largest

    def _nucleus(self, scores: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what top-k and top-p leave; more scores are looked at where `width` is too few."""
        values, ids = find_largest(scores, width)
        largest = values[:, :1]
        values = self._scale(values, largest)
        ranks = torch.arange(width, device=scores.device)
        values = values.masked_fill(~self._rows.is_open & (ranks >= self._rows.top_k), -torch.inf)
        total = values.logsumexp(-1, keepdim=True)
        if self._has_open and width < self._full:
            whole = self._scale(scores, largest).logsumexp(-1, keepdim=True)
            total = torch.where(self._rows.is_open, whole, total)
        shares = (values - total).exp()
        before = shares.cumsum(-1) - shares
        if self._has_open and width < self._full:
            is_short = self._rows.is_open & (before[:, -1:] < self._rows.top_p)
            if is_short.any():
                return self._nucleus(scores, self._full)
        is_out = (before >= self._rows.top_p) & (ranks > 0)
        return values.masked_fill(is_out, -torch.inf), ids, largest

    def _scale(self, values: Tensor, largest: Tensor) -> Tensor:
        # Subtracting first keeps a tiny temperature from making two infinities.
        temperature = torch.where(self._rows.temperature > 0, self._rows.temperature, 1.0)
        return (values - largest) / temperature


def draw_step(sampler: Sampler, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a token a row; return the tokens, (rows), and all that is told of them.

    That is, in float64, (rows, 3): the token, whether the row failed, its log-probability.
    """
    drawn = sampler.draw(logits)
    return drawn[0], torch.stack([part.double() for part in drawn], dim=-1)


def logprobs_of(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of each row's token.

    Shapes: `logits` (rows, vocabulary), `tokens` (rows); the result (rows).
    """
    return logits.float().log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def find_largest(scores: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return the largest scores of each row, the largest first, and where they stand.

    They lie in the blocks whose maxima are the largest, so that most scores need not be sorted.
    Shapes: `scores` (rows, vocabulary); both results (rows, number).
    """
    num_blocks = scores.shape[-1] // _BLOCK
    if num_blocks <= 2 * number:
        return torch.topk(scores, number)
    edge = num_blocks * _BLOCK
    maxima = scores[:, :edge].reshape(len(scores), num_blocks, _BLOCK).amax(-1)
    blocks = torch.topk(maxima, number, sorted=False).indices
    within = torch.arange(_BLOCK, device=scores.device)
    places = (blocks.unsqueeze(-1) * _BLOCK + within).flatten(1)
    rest = torch.arange(edge, scores.shape[-1], device=scores.device)
    places = torch.cat([places, rest.expand(len(scores), -1)], dim=-1)
    values, picked = torch.topk(scores.gather(-1, places), number)
    return values, places.gather(-1, picked)
