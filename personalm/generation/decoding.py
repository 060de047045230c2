"""How a group of prompts is read and its rows are continued, token by token.

`Decoding` is what the engine needs: the logits after the prompts, then those after each further
token. `CopiedDecoding` serves every causal model: it copies the prompt's keys and values to each
row. `SharedDecoding` keeps them once a prompt, and those of a template's head once for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from transformers import DynamicCache

from personalm.generation.prefill import fill_up, last_logits, read_prompts
from personalm.generation.shared_prefix import SHARED_PREFIX, SharedPrefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel
    from personalm.generation.prefill import Heads


class Decoding(Protocol):
    """A group of rows on its way."""

    def start(self) -> Tensor:
        """Read the prompts; return the logits after each row's prompt, (rows, vocabulary)."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Take one token a row, (rows); return the logits after it, (rows, vocabulary)."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, given by their present places."""
        ...


def open_decoding(
    model: LoadedModel,
    prompts: Sequence[tuple[int, ...]],
    owners: Sequence[int],
    *,
    heads: Heads,
    num_head_tokens: Sequence[int],
    room: int,
) -> Decoding:
    """Choose the decoding that the model was loaded for.

    `owners` names the prompt of each row, ascending; `room` is the most new tokens of a row, and
    `num_head_tokens` how much of each prompt is the head of its template.
    """
    if shares_prefixes(model):
        return SharedDecoding(
            model, prompts, owners, heads=heads, num_head_tokens=num_head_tokens, room=room
        )
    return CopiedDecoding(model, prompts, owners)


def shares_prefixes(model: LoadedModel) -> bool:
    """Tell whether a model was loaded with the shared attention."""
    return bool(model.network.config._attn_implementation == SHARED_PREFIX)  # noqa: SLF001 - transformers has no public name for it


class CopiedDecoding:
    """One ordinary cache, its prompts copied to every row."""

    def __init__(
        self, model: LoadedModel, prompts: Sequence[tuple[int, ...]], owners: Sequence[int]
    ) -> None:
        """Take the prompts' token ids and the prompt of each row."""
        self._model = model
        self._prompts = prompts
        self._owners = torch.tensor(owners, device=model.device)
        # Without the model's configuration: by it, transformers would also forget for models that
        # name a window and do not use it. Windows that are used are in the attention mask.
        self._cache = DynamicCache()
        self._mask = torch.empty(0)

    def start(self) -> Tensor:
        """Read the prompts; return the logits after each row's prompt."""
        ids, mask = fill_up(self._model, self._prompts)
        logits = self._forward(ids, mask)
        self._cache.batch_select_indices(self._owners)
        self._mask = mask[self._owners]
        return logits[self._owners]

    def step(self, tokens: Tensor) -> Tensor:
        """Take one token a row; return the logits after it."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=-1)
        return self._forward(tokens.unsqueeze(-1), self._mask)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        kept = torch.tensor(rows, device=self._mask.device)
        self._cache.batch_select_indices(kept)
        self._mask = self._mask[kept]

    def _forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[-1] :]
        return last_logits(
            self._model.network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                cache=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        )


class SharedDecoding:
    """One prefix a prompt, asked by all of its rows."""

    def __init__(
        self,
        model: LoadedModel,
        prompts: Sequence[tuple[int, ...]],
        owners: Sequence[int],
        *,
        heads: Heads,
        num_head_tokens: Sequence[int],
        room: int,
    ) -> None:
        """Take the prompts' token ids and the prompt of each row, as `open_decoding` does."""
        self._model = model
        self._prompts = prompts
        self._owners = owners
        self._heads = heads
        self._num_head_tokens = num_head_tokens
        self._room = room
        self._positions = torch.tensor([len(prompts[i]) for i in owners], device=model.device)
        # A mask of four dimensions passes through transformers as it is, and ours asks for none.
        self._no_mask = torch.zeros(1, 1, 1, 1, device=model.device)

    def start(self) -> Tensor:
        """Read the prompts; return the logits after each row's prompt."""
        read = read_prompts(self._model, self._prompts, self._num_head_tokens, self._heads)
        self._cache = SharedPrefix(read.past, read.mask, self._owners, room=self._room)
        return read.logits[torch.tensor(self._owners, device=self._model.device)]

    def step(self, tokens: Tensor) -> Tensor:
        """Take one token a row; return the logits after it."""
        self._cache.advance()
        output = self._model.network(
            input_ids=tokens.unsqueeze(-1),
            attention_mask=self._no_mask,
            position_ids=self._positions.unsqueeze(-1),
            cache=self._cache,
            use_cache=True,
            logits_to_keep=1,
            shared=self._cache,
        )
        self._positions = self._positions + 1
        return self._cache.spoil(last_logits(output))

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self._cache.keep(rows)
        self._positions = self._positions[torch.tensor(rows, device=self._positions.device)]
