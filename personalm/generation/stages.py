"""Stages: a step of a fixed shape, its tensors, and its recordings as CUDA graphs.

A step is recorded for each number of visible columns, and replayed without the program. Without a
GPU it runs as it is written. It knows shapes, and no groups.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from personalm.generation.prefill import last_logits
from personalm.generation.sampler import draw_step
from personalm.generation.static_prefix import STEPS_AT_ONCE, Contents, Shape, StaticPrefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel
    from personalm.generation.sampler import Sampler

_MAX_STAGES = 24

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


def _memory_like(
    layers: Sequence[tuple[Tensor, Tensor]], num_columns: int
) -> list[tuple[Tensor, Tensor]]:
    """Return memory for the keys and values of each layer, (columns, heads, width)."""
    shapes = [[(num_columns, part.shape[1], part.shape[3]) for part in layer] for layer in layers]
    first = layers[0][0]
    return [(first.new_zeros(keys), first.new_zeros(values)) for keys, values in shapes]
