"""From a group of prompts to drawn tokens, step by step: what the engine's loop asks for.

`Drawing` is the seam: it decodes and samples, and knows nothing of texts or of when they end.
`StepwiseDrawing` serves every device and looks at it once a step. `personalm.generation.captured`
has another for GPUs, which looks once in several steps; nothing of it is loaded without one.
`personalm.generation.whole` has one for architectures that no batches are tested with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from personalm.foreign import walk
from personalm.generation.decoding import open_decoding, shares_prefixes
from personalm.generation.prefill import Heads
from personalm.generation.sampler import Sampler, draw_step
from personalm.generation.whole import WholeDrawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.generation.loading import LoadedModel
    from personalm.generation.stages import Stages
    from personalm.records import Sampling

    Step = tuple[float, float, float]
    """The token that a row drew, whether its logits were not finite, the token's log-probability.

    A token id is exact in it.
    """


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Group:
    """Prompts that are decoded together, and their rows in the prompts' order.

    `owners` names the prompt of each row; `samplings` and `seeds` are the rows'.
    """

    prompts: Sequence[tuple[int, ...]]
    num_head_tokens: Sequence[int]
    owners: Sequence[int]
    samplings: Sequence[Sampling]
    seeds: Sequence[int]

    @property
    def room(self) -> int:
        """The most new tokens that a row may have."""
        return max(sampling.max_new_tokens for sampling in self.samplings)


class Drawing(Protocol):
    """A group of rows on its way."""

    def draw(self) -> list[list[Step]]:
        """Return the next steps of each row, one or several, as many for all.

        A row that has ended before the last of them is done with: what it drew then is nobody's.
        """
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, given by their present places."""
        ...


class Drawings:
    """Opens drawings of a model; heads of templates and whatever else lasts is kept here."""

    def __init__(
        self, model: LoadedModel, *, max_positions: int, captures: bool | None = None
    ) -> None:
        """Take the largest number of positions that a group may keep."""
        is_wanted = model.device.type == "cuda" if captures is None else captures
        self._captures = is_wanted and shares_prefixes(model) and not _looks(model)
        self._model = model
        self._heads = Heads()
        self._max_positions = max_positions
        self._stages: Stages | None = None

    def open(self, group: Group) -> Drawing:
        """Start a group, in the fastest way that its model, device and settings allow."""
        model = self._model
        if not model.reads_batches:
            return WholeDrawing(model, group)
        sampler = Sampler(
            group.samplings, group.seeds, vocabulary=model.num_embeddings, device=model.device
        )
        if not (self._captures and sampler.has_fixed_work):
            return StepwiseDrawing(model, group, self._heads, sampler)
        from personalm.generation.captured import CapturedDrawing  # noqa: PLC0415 - for a GPU alone
        from personalm.generation.stages import Stages  # noqa: PLC0415 - the same

        if self._stages is None:
            # Shapes are rounded up, mostly by less than half.
            self._stages = Stages(model, num_columns=self._max_positions * 3 // 2)
        return CapturedDrawing(group, sampler, self._heads, self._stages)

    def release(self) -> None:
        """Give back the memory of recorded steps; the next group takes what it needs."""
        self._stages = None


def _looks(model: LoadedModel) -> bool:
    """Tell whether a step looks at its positions, which a recorded one may not do."""
    config = model.network.config.to_dict()
    return any(key == "rope_type" and value == "dynamic" for key, value in walk(config))


class StepwiseDrawing:
    """One step at a time; rows that have ended are computed no more."""

    def __init__(self, model: LoadedModel, group: Group, heads: Heads, sampler: Sampler) -> None:
        self._sampler = sampler
        self._decoding = open_decoding(
            model,
            group.prompts,
            group.owners,
            heads=heads,
            num_head_tokens=group.num_head_tokens,
            room=group.room,
        )
        self._tokens: Tensor | None = None

    def draw(self) -> list[list[Step]]:
        """Return the next step of each row."""
        if self._tokens is None:
            logits = self._decoding.start()
        else:
            logits = self._decoding.step(self._tokens)
        self._tokens, drawn = draw_step(self._sampler, logits)
        # One look a step: the program waits for the device at each.
        steps: list[list[Step]] = drawn.unsqueeze(1).tolist()
        return steps

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self._decoding.keep(rows)
        self._sampler.keep(rows)
        if self._tokens is not None:
            self._tokens = self._tokens[torch.tensor(rows, device=self._tokens.device)]
