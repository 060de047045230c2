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
from typing import TYPE_CHECKING, Any

import torch

from personalm.generation.prefill import last_logits, read_prompts
from personalm.generation.sampler import draw_step
from personalm.generation.shared_prefix import ranks_of
from personalm.generation.static_prefix import STEPS_AT_ONCE, Contents, Shape, StaticPrefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from personalm.generation.drawing import Group, Step
    from personalm.generation.loading import LoadedModel
    from personalm.generation.prefill import Heads
    from personalm.generation.sampler import Sampler

_STEPS_A_LOOK = 8
_MAX_STAGES = 24
_POSITIONS_AT_ONCE = 64

_log = logging.getLogger(__name__)


class Stage:
    """A shape, its tensors, and its step, recorded for each number of visible columns."""

    def __init__(
        self,
        model: LoadedModel,
        shape: Shape,
        memory: Sequence[tuple[Tensor, Tensor]],
        sampler: Sampler,
        pool: Any,  # noqa: ANN401 - torch names no type for it
    ) -> None:
        """Take the memory of keys and values, and a sampler for every slot."""
        device, num_rows = model.device, shape.num_rows
        self.shape = shape
        self.cache = StaticPrefix(shape, memory)
        self.sampler = sampler
        self.positions = torch.zeros(num_rows, dtype=torch.int64, device=device)
        self.logits = torch.zeros(
            (num_rows, model.num_embeddings), dtype=model.dtype, device=device
        )
        self.drawn = torch.zeros((num_rows, shape.room, 3), dtype=torch.float64, device=device)
        self._model = model
        self._pool = pool
        self._no_mask = torch.zeros(1, 1, 1, 1, device=device)
        self._replays: dict[int, Callable[[], None]] = {}
        self._record()

    def fill(
        self,
        contents: Contents,
        sampler: Sampler,
        *,
        logits: Tensor,
        positions: Tensor,
    ) -> None:
        """Take a group; sampler, logits and positions are of every slot."""
        self.cache.fill(contents)
        self.sampler.take(sampler)
        self.logits.copy_(logits)
        self.positions.copy_(positions)

    def run(self, first: int, last: int) -> None:
        """Draw the steps from the first to before the last."""
        for step in range(first, last):
            self._replays[self._visible(step)]()

    def _visible(self, step: int) -> int:
        """Return how many steps' columns are looked at in a step."""
        return min(-(-(step + 1) // STEPS_AT_ONCE) * STEPS_AT_ONCE, self.shape.room)

    def _record(self) -> None:
        for visible in sorted({self._visible(step) for step in range(self.shape.room)}):
            self.cache.num_visible_steps = visible
            if self._model.device.type != "cuda":
                self._replays[visible] = self._eager(visible)
                continue
            graph = torch.cuda.CUDAGraph()
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # it has none
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._draw()
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph, pool=self._pool):
                self._draw()
            self._replays[visible] = graph.replay

    def _eager(self, visible: int) -> Callable[[], None]:
        def run() -> None:
            self.cache.num_visible_steps = visible
            self._draw()

        return run

    def _draw(self) -> None:
        """Draw a token a row, and read it."""
        tokens, drawn = draw_step(self.sampler, self.logits)
        self.drawn.index_copy_(1, self.sampler.step - 1, drawn.unsqueeze(1))
        self.cache.advance()
        output = self._model.network(
            input_ids=tokens.unsqueeze(-1),
            attention_mask=self._no_mask,
            # A row that has ended goes on until somebody looks, and must not leave the model.
            position_ids=self.positions.clamp(max=self._model.card.max_positions - 1)[:, None],
            cache=self.cache,
            use_cache=True,
            logits_to_keep=1,
            shared=self.cache,
        )
        self.logits.copy_(self.cache.spoil(last_logits(output)))
        self.cache.leave()
        self.positions += 1


class Stages:
    """The stages of a model. They share one memory, for only one group is under way at a time."""

    def __init__(self, model: LoadedModel, *, num_columns: int) -> None:
        """Take the columns that groups need at the most, before their shapes are rounded up."""
        self.model = model
        self._num_columns = num_columns
        self._stages: dict[tuple[Shape, tuple[object, ...]], Stage] = {}
        self._memory: list[tuple[Tensor, Tensor]] = []
        self._pool: Any = None

    def __len__(self) -> int:
        """Return how many stages are kept."""
        return len(self._stages)

    def take(
        self, shape: Shape, sampler: Sampler, layers: Sequence[tuple[Tensor, Tensor]]
    ) -> Stage:
        """Return a stage for a shape and the work of a sampler; what the memory held is lost.

        `layers` say what keys and values are like.
        """
        if not self._memory or shape.size > len(self._memory[0][0]):
            self._take_memory(shape.size, layers)
        key = (shape, sampler.work)
        stage = self._stages.pop(key, None)
        if stage is None:
            stage = Stage(
                self.model,
                shape,
                self._memory,
                sampler.pick(torch.arange(shape.num_rows, device=self.model.device)),
                self._pool,
            )
            _log.debug("recorded a step: %s", shape)
        self._stages[key] = stage
        while len(self._stages) > _MAX_STAGES:
            del self._stages[next(iter(self._stages))]
        return stage

    def _take_memory(self, least: int, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take memory for all groups to come, or for this one where there is no more."""
        self._stages.clear()
        self._memory.clear()
        try:
            self._memory += _memory_like(layers, max(least, self._num_columns))
        except torch.OutOfMemoryError:
            if least >= self._num_columns:
                raise
            _log.warning("keys and values: too little memory for groups of the usual size")
            self._memory += _memory_like(layers, least)
        if self.model.device.type == "cuda":
            self._pool = torch.cuda.graph_pool_handle()


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


def _memory_like(
    layers: Sequence[tuple[Tensor, Tensor]], num_columns: int
) -> list[tuple[Tensor, Tensor]]:
    """Return memory for the keys and values of each layer, (columns, heads, width)."""
    shapes = [[(num_columns, part.shape[1], part.shape[3]) for part in layer] for layer in layers]
    first = layers[0][0]
    return [(first.new_zeros(keys), first.new_zeros(values)) for keys, values in shapes]
