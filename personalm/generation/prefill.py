"""Reading prompts: from token ids to the keys and values that their rows will ask.

The head of a template is read once a process, the rest of the prompts in parts of like length.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel

    Past = list[tuple[Tensor, Tensor]]
    """Keys and values of each layer, (prompts, heads, positions, width)."""

# A shorter reading leaves a processor waiting for the weights, and an accelerator for the program.
_MIN_READING = {"cpu": 512}
_MIN_READING_ELSEWHERE = 8_192
_MAX_PADDED = 8 / 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What prompts have left behind.

    Shapes: `mask` (prompts, positions), true where a position counts; `logits` after each prompt,
    (prompts, vocabulary).
    """

    past: Past
    mask: Tensor
    logits: Tensor


def read_prompts(
    model: LoadedModel,
    prompts: Sequence[tuple[int, ...]],
    num_head_tokens: Sequence[int],
    heads: Heads,
) -> Reading:
    """Read prompts, those of one head and like length together."""
    pieces: list[tuple[Past, Tensor]] = []
    logits: list[Tensor] = []
    order: list[int] = []
    starts = [p[:n] for p, n in zip(prompts, num_head_tokens, strict=True)]
    lengths = [len(p) - len(start) for p, start in zip(prompts, starts, strict=True)]
    places = sorted(range(len(prompts)), key=lambda i: (starts[i], lengths[i], i))
    least = _MIN_READING.get(model.device.type, _MIN_READING_ELSEWHERE)
    for head, of_head in groupby(places, starts.__getitem__):
        for some in cut_by_length(list(of_head), lengths, least):
            bodies = [prompts[i][len(head) :] for i in some]
            past, mask, last = read_after(model, heads, head, bodies)
            pieces.append((past, mask))
            logits.append(last[:, -1])
            order += some
    back = torch.tensor(order, device=model.device).argsort()
    past, mask = _join(pieces, back)
    return Reading(past=past, mask=mask, logits=torch.cat(logits)[back])


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


def cut_by_length(places: Sequence[int], lengths: Sequence[int], least: int) -> Iterator[list[int]]:
    """Cut places, sorted by their lengths, so that few pads are read and few readings made.

    A cut is made where a part has the tokens of one reading, `least`, and the next longer text
    would make an eighth of the part's positions pads.
    """
    part: list[int] = []
    for place in places:
        num_tokens = sum(lengths[i] for i in part)
        num_positions = (len(part) + 1) * lengths[place]
        if num_tokens >= least and num_positions > _MAX_PADDED * (num_tokens + lengths[place]):
            yield part
            part = []
        part.append(place)
    yield part


def fill_up(model: LoadedModel, prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both (prompts, longest); the mask follows the lengths alone."""
    width = max(map(len, prompts))
    # Of another token whose numbers are not finite a mask would hide nothing.
    ids = [[*prompt[:1]] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return (
        torch.tensor(ids, dtype=torch.int64, device=model.device),
        torch.tensor(mask, dtype=torch.int64, device=model.device),
    )


def read_after(
    model: LoadedModel,
    heads: Heads,
    head: tuple[int, ...],
    bodies: Sequence[tuple[int, ...]],
    *,
    num_kept: int = 1,
) -> tuple[Past, Tensor, Tensor]:
    """Read what comes after one head; return keys and values, mask, and the last logits.

    Shapes: of the mask (bodies, positions), true where one counts, pads between head and body; of
    the logits (bodies, num_kept, vocabulary).
    """
    ids, mask = fill_up(model, bodies)
    past = heads.read(model, head) if head else None
    mask = torch.cat([mask.new_ones(len(mask), len(head)), mask], dim=-1)
    past, logits = _read(model, ids, mask, past, num_kept=num_kept)
    return past, mask.bool(), logits


def _read(
    model: LoadedModel, ids: Tensor, mask: Tensor, past: Past | None, *, num_kept: int = 1
) -> tuple[Past, Tensor]:
    """Run the model over prompts; `past` is a head that comes before all of them.

    Shape of the logits: (prompts, num_kept, vocabulary).
    """
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
        logits_to_keep=num_kept,
    )
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers], output.logits[:, -num_kept:]


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


def last_logits(output: Any) -> Tensor:  # noqa: ANN401 - every model has an output class of its own
    """Return the logits of each row's last position, (rows, vocabulary)."""
    logits: Tensor = output.logits[:, -1]
    return logits
