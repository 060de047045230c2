"""The engine of several models: each prompt is continued by the model that writes its kind.

It keeps the contract of engines: batches stay apart, and within one the prompts of each model are
a fixed plan of their own. It knows no models, only their engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.generation.engine import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from personalm.generation.engine import Engine
    from personalm.records import Draw, Prompt


class RoutingEngine:
    """Sends prompts to the engine of their kind, which is opened when the first one comes."""

    def __init__(self, engine_of: Callable[[str], Engine]) -> None:
        """Take what gives the engine of a kind, the same one for all kinds that share it."""
        self._engine_of = engine_of

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Yield one draw for each prompt, batch after batch, in the order of the prompts."""
        for batch in batches(prompts):
            draws = self._run(batch)
            yield from (draws[place] for place in range(len(batch)))

    def _run(self, batch: tuple[Prompt, ...]) -> dict[int, Draw]:
        shares: dict[int, tuple[Engine, list[int]]] = {}
        for place, prompt in enumerate(batch):
            engine = self._engine_of(prompt.key.kind)
            shares.setdefault(id(engine), (engine, []))[1].append(place)
        draws: dict[int, Draw] = {}
        for engine, places in shares.values():
            draws.update(
                zip(places, engine.generate(batch[place] for place in places), strict=True)
            )
        return draws
