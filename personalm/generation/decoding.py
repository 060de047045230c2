"""How a group of prompts is read and its rows are continued, token by token.

`Decoding` is what the engine needs: the logits after the prompts, then those after each further
token. `CopiedDecoding` serves every causal model: it copies the prompt's keys and values to each
row. `SharedDecoding` keeps them once a prompt, and those of a template's head once for all.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import DynamicCache

from personalm.generation.shared_prefix import SHARED_PREFIX, SharedPrefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel

    Past = list[tuple[Tensor, Tensor]]
    """Keys and values of each layer, (prompts, heads, positions, width)."""


# A shorter reading leaves the processor waiting for the weights.
_MIN_READING = 512
_MAX_PADDED = 8 / 7


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
        return _logits(
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
        """Read prompts of one head and like length together; return the logits after each row's."""
        pieces: list[tuple[Past, Tensor]] = []
        logits: list[Tensor] = []
        order: list[int] = []
        heads = [p[:n] for p, n in zip(self._prompts, self._num_head_tokens, strict=True)]
        lengths = [len(p) - len(h) for p, h in zip(self._prompts, heads, strict=True)]
        places = sorted(range(len(heads)), key=lambda i: (heads[i], lengths[i], i))
        for head, of_head in groupby(places, heads.__getitem__):
            for some in cut_by_length(list(of_head), lengths):
                bodies = [self._prompts[i][len(head) :] for i in some]
                past, mask, last = self._read(head, bodies)
                pieces.append((past, mask))
                logits.append(last)
                order += some
        back = torch.tensor(order, device=self._model.device).argsort()
        prefixes, mask = _join(pieces, back)
        self._cache = SharedPrefix(prefixes, mask, self._owners, room=self._room)
        return torch.cat(logits)[back][torch.tensor(self._owners, device=self._model.device)]

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
        return self._cache.spoil(_logits(output))

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self._cache.keep(rows)
        self._positions = self._positions[torch.tensor(rows, device=self._positions.device)]

    def _read(
        self, head: tuple[int, ...], bodies: Sequence[tuple[int, ...]]
    ) -> tuple[Past, Tensor, Tensor]:
        """Return the keys and values of prompts with one head, their mask and last logits."""
        ids, mask = fill_up(self._model, bodies)
        past = self._heads.read(self._model, head) if head else None
        mask = torch.cat([mask.new_ones(len(mask), len(head)), mask], dim=-1)
        past, logits = _read(self._model, ids, mask, past)
        return past, mask.bool(), logits


class Heads:
    """Keys and values of template heads: read once, asked by every prompt that starts so.

    A head is read alone, so its numbers do not depend on who asked first.
    """

    def __init__(self, *, size: int = 16) -> None:
        """Keep at most `size` heads, the latest used."""
        self._size = size
        self._past: dict[tuple[int, ...], Past] = {}

    def __len__(self) -> int:
        """Return how many heads are kept."""
        return len(self._past)

    def read(self, model: LoadedModel, head: tuple[int, ...]) -> Past:
        """Return keys and values of a head, of batch size one."""
        past = self._past.pop(head, None)
        if past is None:
            ids, mask = fill_up(model, [head])
            past, _ = _read(model, ids, mask, None)
        self._past[head] = past
        while len(self._past) > self._size:
            del self._past[next(iter(self._past))]
        return past


def cut_by_length(places: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Cut places, sorted by their lengths, so that few pads are read and few readings made.

    A cut is made where a part has enough tokens for one reading and the next longer text would
    make an eighth of the part's positions pads.
    """
    part: list[int] = []
    for place in places:
        num_tokens = sum(lengths[i] for i in part)
        num_positions = (len(part) + 1) * lengths[place]
        if num_tokens >= _MIN_READING and num_positions > _MAX_PADDED * (
            num_tokens + lengths[place]
        ):
            yield part
            part = []
        part.append(place)
    yield part


def fill_up(model: LoadedModel, prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both (prompts, longest); the mask follows the lengths alone."""
    width = max(map(len, prompts))
    ids = [[model.pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return (
        torch.tensor(ids, dtype=torch.int64, device=model.device),
        torch.tensor(mask, dtype=torch.int64, device=model.device),
    )


def _read(model: LoadedModel, ids: Tensor, mask: Tensor, past: Past | None) -> tuple[Past, Tensor]:
    """Run the model over prompts; `past` is a head that comes before all of them."""
    cache = DynamicCache()
    for index, (keys, values) in enumerate(past or ()):
        cache.update(keys.expand(len(ids), -1, -1, -1), values.expand(len(ids), -1, -1, -1), index)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[-1] :]
    output = model.network(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        cache=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers], _logits(output)


def _join(pieces: Sequence[tuple[Past, Tensor]], order: Tensor) -> tuple[Past, Tensor]:
    """Put the prefixes of several readings together, filled up on the right, in this order."""
    width = max(mask.shape[1] for _, mask in pieces)

    def join(parts: list[Tensor]) -> Tensor:
        whole = [torch.nn.functional.pad(part, (0, 0, 0, width - part.shape[2])) for part in parts]
        return torch.cat(whole)[order] if len(whole) > 1 else whole[0][order]

    layers = range(len(pieces[0][0]))
    past = [
        (join([p[i][0] for p, _ in pieces]), join([p[i][1] for p, _ in pieces])) for i in layers
    ]
    masks = [torch.nn.functional.pad(m, (0, width - m.shape[1])) for _, m in pieces]
    return past, torch.cat(masks)[order]


def _logits(output: Any) -> Tensor:  # noqa: ANN401 - every model has an output class of its own
    logits: Tensor = output.logits[:, -1]
    return logits
