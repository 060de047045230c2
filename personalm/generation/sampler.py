"""From logits to tokens: repetition, temperature, top-k, top-p, min-p, noise, in this order.

Every row has its own settings, so prompts of several kinds share a batch. The nucleus of top-p is
taken inside the top k, as transformers does; with `top_k = 0` it is exact over the vocabulary. The
largest score with its noise is the sample, so nothing here depends on a generator's state.
"""

from __future__ import annotations

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


class Sampler:
    """Draws one token a row and step. It counts the steps and remembers what each row has seen."""

    def __init__(
        self,
        samplings: Sequence[Sampling],
        seeds: Sequence[int],
        said: Sequence[Sequence[int]] = (),
        *,
        vocabulary: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Take the settings and seeds of each row, and its new tokens so far, none by default."""

        def column(values: list[float], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device).unsqueeze(-1)

        full = vocabulary
        self._step = 0
        self._full = full
        # A nucleus of the whole vocabulary mostly lies within the first few hundred tokens.
        self._width = max((min(s.top_k or _FIRST, full) for s in samplings), default=full)
        self._is_open = column([s.top_k in {0, full} for s in samplings], torch.bool)
        self._has_open = bool(self._is_open.any())
        self._is_plain = all(s.top_k in {0, full} and s.top_p >= 1 for s in samplings)
        self._seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self._temperature = column([s.temperature for s in samplings])
        self._top_k = column([min(s.top_k or full, full) for s in samplings], torch.int64)
        self._top_p = column([s.top_p for s in samplings])
        self._least = column([log(s.min_p) if s.min_p else -inf for s in samplings])
        self._has_least = any(s.min_p for s in samplings)
        self._penalty = column([s.repetition_penalty for s in samplings])
        self._seen: Tensor | None = None
        if any(s.repetition_penalty != 1 for s in samplings):
            self._seen = torch.zeros(len(samplings), full, dtype=torch.bool, device=device)
            for row, tokens in enumerate(said):
                self._seen[row, list(tokens)] = True
        self._ngrams = [Ngrams(s.no_repeat_ngram) for s in samplings]
        for ngrams, tokens in zip(self._ngrams, said, strict=False):
            for token in tokens:
                ngrams.add(token)

    def draw(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return a token for each row, and which rows failed because their logits are not finite.

        Shapes: `logits` (rows, vocabulary); both results (rows), int64 and bool.
        """
        scores = logits.float()
        # What is drawn for such a row is some token, and nobody takes it.
        failed = ~torch.isfinite(scores.amax(-1))
        values, ids = self._filter(self._forbid(self._penalise(scores)))
        is_random = self._temperature > 0
        noise = torch.where(is_random, gumbel(self._seeds, self._step, ids), 0.0)
        best = (values.double() + noise).argmax(-1, keepdim=True)
        tokens = ids.gather(-1, best)
        if self._seen is not None:
            self._seen.scatter_(-1, tokens, value=True)
        if any(ngrams.size for ngrams in self._ngrams):
            for ngrams, token in zip(self._ngrams, tokens[:, 0].tolist(), strict=True):
                ngrams.add(token)
        self._step += 1
        return tokens.squeeze(-1), failed

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, given by their present places."""
        kept = torch.tensor(rows, device=self._seeds.device)
        self._seeds = self._seeds[kept]
        self._temperature = self._temperature[kept]
        self._top_k = self._top_k[kept]
        self._top_p = self._top_p[kept]
        self._least = self._least[kept]
        self._is_open = self._is_open[kept]
        self._penalty = self._penalty[kept]
        if self._seen is not None:
            self._seen = self._seen[kept]
        self._ngrams = [self._ngrams[row] for row in rows]

    def _penalise(self, scores: Tensor) -> Tensor:
        if self._seen is None:
            return scores
        lower = torch.where(scores > 0, scores / self._penalty, scores * self._penalty)
        return torch.where(self._seen, lower, scores)

    def _forbid(self, scores: Tensor) -> Tensor:
        """Leave out the tokens that would say an n-gram again, unless nothing else is left."""
        forbidden = [(row, id_) for row, n in enumerate(self._ngrams) for id_ in n.forbidden]
        if not forbidden:
            return scores
        rows, ids = torch.tensor(forbidden, device=scores.device).T
        # In float32 the scores may be the very logits of the caller.
        kept = scores.index_put((rows, ids), scores.new_tensor(-torch.inf))
        is_left = kept.amax(-1) > -torch.inf
        return kept.index_put_(
            (rows, ids), torch.where(is_left[rows], -torch.inf, scores[rows, ids])
        )

    def _filter(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return scaled scores, minus infinity where filtered out, with their token ids."""
        if self._is_plain:
            ids = torch.arange(scores.shape[-1], device=scores.device).expand_as(scores)
            values = self._scale(scores, scores.amax(-1, keepdim=True))
        else:
            values, ids = self._nucleus(scores, self._width)
        if self._has_least:
            # The likeliest token has the scaled score 0.
            values = values.masked_fill(values < self._least, -torch.inf)
        return values, ids

    def _nucleus(self, scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Return what top-k and top-p leave; more scores are looked at where `width` is too few."""
        values, ids = find_largest(scores, width)
        largest = values[:, :1]
        values = self._scale(values, largest)
        ranks = torch.arange(width, device=scores.device)
        values = values.masked_fill(~self._is_open & (ranks >= self._top_k), -torch.inf)
        total = values.logsumexp(-1, keepdim=True)
        if self._has_open and width < self._full:
            whole = self._scale(scores, largest).logsumexp(-1, keepdim=True)
            total = torch.where(self._is_open, whole, total)
        shares = (values - total).exp()
        before = shares.cumsum(-1) - shares
        if self._has_open and width < self._full:
            is_short = self._is_open & (before[:, -1:] < self._top_p)
            if is_short.any():
                return self._nucleus(scores, self._full)
        return values.masked_fill((before >= self._top_p) & (ranks > 0), -torch.inf), ids

    def _scale(self, values: Tensor, largest: Tensor) -> Tensor:
        # Subtracting first keeps a tiny temperature from making two infinities.
        temperature = torch.where(self._temperature > 0, self._temperature, 1.0)
        return (values - largest) / temperature


def logprobs_of(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of each row's token.

    Shapes: `logits` (rows, vocabulary), `tokens` (rows); the result (rows).
    """
    # One pass over the vocabulary; torch's logsumexp makes four.
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


class Ngrams:
    """The n-grams of a row's new text; with size 0 it remembers and forbids nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._last: tuple[int, ...] = ()
        self._followers: dict[tuple[int, ...], set[int]] = {}

    @property
    def forbidden(self) -> set[int]:
        """Tokens that would complete an n-gram which is there already."""
        return self._followers.get(self._last, set())

    def add(self, token: int) -> None:
        """Note the next token."""
        if not self.size:
            return
        if len(self._last) == self.size - 1:
            self._followers.setdefault(self._last, set()).add(token)
        self._last = (*self._last, token)[1 - self.size :] if self.size > 1 else ()
