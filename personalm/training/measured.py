"""What was measured of a model, before it has learned or afterwards, and how that is kept."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from personalm.errors import TrainingError
from personalm.training.canaries import CanaryScore, draw_references, score_canaries
from personalm.training.measures import measure_losses
from personalm.training.swaps import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.generation.loading import LoadedModel
    from personalm.training.materials import Materials
    from personalm.training.measures import Losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Losses of held-out texts, and scores of canaries."""

    losses: Losses
    canaries: tuple[CanaryScore, ...]

    @classmethod
    def of(
        cls, model: LoadedModel, materials: Materials, *, num_references: int, seed: int
    ) -> Measured:
        """Measure a model. Raises TrainingError where a loss is no finite number."""
        losses = measure_losses(model, materials.swaps)
        if not all(map(math.isfinite, chain.from_iterable(chain(*losses.values())))):
            raise TrainingError(
                f"{model.card.name} gives held-out texts a likelihood that is no number; nothing "
                "is published",
                remedy="Lower training.learning_rate, or set generation.dtype = 'float32'.",
            )
        references = draw_references(num_references, seed=seed)
        return cls(losses=losses, canaries=score_canaries(model, materials.canaries, references))

    def to_json(self) -> dict[str, Any]:
        """Return it as a file's values."""
        return {
            "losses": {history.value: list(losses) for history, losses in self.losses.items()},
            "canaries": [asdict(score) for score in self.canaries],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Measured:
        """Read it back."""
        return cls(
            losses={History(name): losses for name, losses in values["losses"].items()},
            canaries=tuple(CanaryScore(**score) for score in values["canaries"]),
        )
