"""The seam between the pipeline and whatever draws texts.

The contract of every engine:

- prompts are pulled lazily, and each gives exactly one draw, whatever happens to it;
- consecutive prompts with the same `batch` are one fixed plan: they may run together and never
  run with others, so that a resumed run repeats an uninterrupted one exactly;
- candidate i of a prompt does not depend on the other prompts, on their order or on the number of
  candidates, up to the rounding of the arithmetic;
- a prompt that cannot be served is a draw with an error in words that hold no text of the prompt.
  `EngineError` is raised only where nobody can be served any more.

An engine sees token ids and sampling settings. It knows no users: a key is noise to it.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from personalm.records import Draw, Prompt


class Engine(Protocol):
    """Continues prompts."""

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Yield one draw for each prompt, batch after batch, in the order of the prompts."""
        ...


def batches(prompts: Iterable[Prompt]) -> Iterator[tuple[Prompt, ...]]:
    """Yield the runs of consecutive prompts that share a batch."""
    for _, group in groupby(prompts, key=lambda prompt: prompt.batch):
        yield tuple(group)


def candidate_numbers(prompt: Prompt) -> range:
    """Return the numbers of the candidates to make: one where greedy ones would all be equal."""
    return range(1 if prompt.sampling.temperature == 0 else prompt.num_candidates)
