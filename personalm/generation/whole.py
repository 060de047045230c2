"""Drawing by transformers' own `generate`, for models that no decoding of ours is tested with.

Each prompt runs alone with its rows, without a pad: what a model makes of positions, of masks and
of its cache stays its own business. Tokens are drawn by the engine's sampler, so a row's noise is
the same as everywhere. Slower than any other way, and right for whatever transformers generates.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LogitsProcessorList

from personalm.generation.sampler import Sampler, draw_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from personalm.generation.drawing import Group, Step
    from personalm.generation.loading import LoadedModel


class WholeDrawing:
    """All steps of all rows at once, prompt after prompt."""

    def __init__(self, model: LoadedModel, group: Group) -> None:
        self._model = model
        self._group = group

    def draw(self) -> list[list[Step]]:
        """Return every step of each row, to the limit or until all rows of its prompt ended."""
        by_prompt = groupby(range(len(self._group.owners)), self._group.owners.__getitem__)
        return [steps for owner, rows in by_prompt for steps in self._write(owner, list(rows))]

    def keep(self, rows: Sequence[int]) -> None:
        """Do nothing: every row has ended with what the first call returned."""

    def _write(self, owner: int, rows: Sequence[int]) -> list[list[Step]]:
        model, group = self._model, self._group
        samplings = [group.samplings[row] for row in rows]
        drawer = _Drawer(
            Sampler(
                samplings,
                [group.seeds[row] for row in rows],
                vocabulary=model.num_embeddings,
                device=model.device,
            )
        )
        ids = torch.tensor([group.prompts[owner]] * len(rows), device=model.device)
        network: Any = model.network
        # What the folder of a model asks for is nobody's setting here.
        network.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # no types
        network.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max(sampling.max_new_tokens for sampling in samplings),
            do_sample=False,
            eos_token_id=sorted(model.eos_ids) or None,
            pad_token_id=model.pad_id,
            logits_processor=LogitsProcessorList([drawer]),
        )
        steps: list[list[Step]] = torch.stack(drawer.steps, dim=1).tolist()
        return steps


class _Drawer:
    """Draws with our sampler, where transformers asks which tokens are likely."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.steps: list[Tensor] = []

    def __call__(self, _ids: Tensor, logits: Tensor) -> Tensor:
        tokens, drawn = draw_step(self._sampler, logits)
        self.steps.append(drawn)
        only = torch.full_like(logits, -torch.inf)
        return only.scatter(-1, tokens.unsqueeze(-1), 0.0)
