"""Drawing on a GPU: steps of fixed shapes, recorded once and replayed without the program.

A small model on a GPU waits for the program that starts its kernels. So a step, sampling included,
is recorded as a CUDA graph for each shape of a group, a few steps are replayed on end, and what
they drew is looked at while the next ones run. Shapes are rounded up, so few are ever recorded.
When half of a group's rows have ended, the rest moves into a smaller shape. What is moved when
follows the tokens alone, so a batch drawn again is equal.

Without a GPU the same steps run as they are written: that is how the tests know them.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from personalm.generation.prefill import read_prompts
from personalm.generation.shared_prefix import ranks_of
from personalm.generation.static_prefix import STEPS_AT_ONCE, Contents, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.generation.drawing import Group, Step
    from personalm.generation.prefill import Heads
    from personalm.generation.sampler import Sampler
    from personalm.generation.stages import Stages

_STEPS_A_LOOK = 8
_POSITIONS_AT_ONCE = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Some steps that were asked for; `drawn` is (slots, steps, 3)."""

    drawn: Tensor
    is_there: torch.cuda.Event | None = None

    @classmethod
    def of(cls, drawn: Tensor) -> _Block:
        """Ask for what was drawn, without waiting for it."""
        if drawn.device.type != "cuda":
            return cls(drawn=drawn.clone())
        held = torch.empty(drawn.shape, dtype=drawn.dtype, pin_memory=True)
        held.copy_(drawn, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # it has none
        event.record()
        return cls(drawn=held, is_there=event)

    def read(self, slots: Sequence[int]) -> list[list[Step]]:
        """Wait until it is there; return the steps of some slots."""
        if self.is_there is not None:
            self.is_there.synchronize()
        steps: list[list[Step]] = self.drawn[list(slots)].tolist()
        return steps


class CapturedDrawing:
    """A group in a stage, some steps at a time, and always some ahead of who looks."""

    def __init__(self, group: Group, sampler: Sampler, heads: Heads, stages: Stages) -> None:
        self._stages = stages
        self._owners = list(group.owners)
        self._room = group.room
        self._num_steps = 0
        self._ahead: _Block | None = None
        model, device = stages.model, stages.model.device
        read = read_prompts(model, group.prompts, group.num_head_tokens, heads)
        self._mask = read.mask
        shape = _round_up(self._owners, read.mask.shape[1], group.room)
        self._slots, sources = _seat(self._owners, shape)
        rows = torch.tensor(sources, device=device)
        owners = torch.tensor(self._owners, device=device)[rows]
        lengths = torch.tensor([len(prompt) for prompt in group.prompts], device=device)
        sampler.keep(sources)
        self._stage = stages.take(shape, sampler, read.past)
        self._stage.fill(
            Contents.of_prompts(read.past, read.mask),
            sampler,
            logits=read.logits[owners],
            positions=lengths[owners],
        )

    def draw(self) -> list[list[Step]]:
        """Return the next steps of each row, and start those after them."""
        if self._ahead is None:
            if self._is_half_empty:
                self._move()
            self._ahead = self._launch()
        block = self._ahead
        is_last = self._num_steps == self._room or self._is_half_empty
        self._ahead = None if is_last else self._launch()
        return block.read(self._slots)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self._owners = [self._owners[row] for row in rows]
        self._slots = [self._slots[row] for row in rows]

    def _launch(self) -> _Block:
        first = self._num_steps
        self._num_steps = min(first + _STEPS_A_LOOK, self._room)
        self._stage.run(first, self._num_steps)
        return _Block.of(self._stage.drawn[:, first : self._num_steps])

    @property
    def _smaller(self) -> Shape:
        """The shape that the present rows would have by themselves."""
        return _round_up(self._owners, self._mask.shape[1], self._room)

    @property
    def _is_half_empty(self) -> bool:
        return 2 * self._smaller.num_rows <= self._stage.shape.num_rows

    def _move(self) -> None:
        """Bring the present rows into a smaller shape."""
        old, shape, device = self._stage, self._smaller, self._mask.device
        live = sorted(set(self._owners))
        places = {owner: place for place, owner in enumerate(live)}
        self._owners = [places[owner] for owner in self._owners]
        self._mask = self._mask[torch.tensor(live, device=device)]
        depth = max(Counter(self._owners).values())
        ranks = [[0] * depth for _ in live]
        for owner, rank, slot in zip(
            self._owners, ranks_of(self._owners), self._slots, strict=True
        ):
            ranks[owner][rank] = slot % old.shape.depth
        contents = old.cache.pick(
            torch.tensor(live, device=device),
            torch.tensor(ranks, device=device),
            num_steps=self._num_steps,
            mask=self._mask,
        )
        old_slots = self._slots
        self._slots, sources = _seat(self._owners, shape)
        rows = torch.tensor([old_slots[row] for row in sources], device=device)
        sampler = old.sampler.pick(rows)
        logits, positions = old.logits[rows], old.positions[rows]
        self._stage = self._stages.take(shape, sampler, contents.prefixes)
        self._stage.fill(contents, sampler, logits=logits, positions=positions)


def _round_up(owners: Sequence[int], width: int, room: int) -> Shape:
    """Return the shape of a group: sizes in steps, so that few shapes serve many groups."""
    counts = Counter(owners)
    return Shape(
        num_prompts=_round(len(counts)),
        depth=_round(max(counts.values())),
        width=-(-width // _POSITIONS_AT_ONCE) * _POSITIONS_AT_ONCE,
        room=-(-room // STEPS_AT_ONCE) * STEPS_AT_ONCE,
    )


def _round(number: int) -> int:
    """Round up to one of 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24 and so on."""
    step = max(1, 1 << (number - 1).bit_length() >> 3)
    return -(-number // step) * step


def _seat(owners: Sequence[int], shape: Shape) -> tuple[list[int], list[int]]:
    """Return the slot of each row, and for each slot a row: its own, or any where it is empty."""
    slots = [o * shape.depth + rank for o, rank in zip(owners, ranks_of(owners), strict=True)]
    sources = [0] * shape.num_rows
    for row, slot in enumerate(slots):
        sources[slot] = row
    return slots, sources
