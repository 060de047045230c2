"""What happens to the world between two runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from tests.life.world import person

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.life.world import World

    Change: TypeAlias = Callable[[World], World]


@dataclass(frozen=True, kw_only=True)
class Coming:
    """A user comes, back after being forgotten perhaps, or writes and asks something else."""

    user_id: str
    edition: int
    asks: frozenset[tuple[str, str]]

    def __call__(self, world: World) -> World:
        """Return the world after it."""
        return world.with_person(person(self.user_id, self.edition, self.asks))


@dataclass(frozen=True, kw_only=True)
class Going:
    """A user is in no table any more."""

    user_id: str

    def __call__(self, world: World) -> World:
        """Return the world after it."""
        return world.without(self.user_id)


@dataclass(frozen=True, kw_only=True)
class OptingOut:
    """A user opts out, or in again."""

    user_id: str
    opt_out: bool

    def __call__(self, world: World) -> World:
        """Return the world after it."""
        known = world.people.get(self.user_id)
        return world.with_person(replace(known, opt_out=self.opt_out)) if known else world


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The operator words a template otherwise."""

    kind: str
    number: int

    def __call__(self, world: World) -> World:
        """Return the world after it."""
        return replace(world, templates={**world.templates, self.kind: self.number})


@dataclass(frozen=True, kw_only=True)
class Numbering:
    """Whoever makes the requests gives them other ids."""

    number: int

    def __call__(self, world: World) -> World:
        """Return the world after it."""
        return replace(world, numbering=self.number)


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """The operator takes another model, or another seed."""

    model: int
    seed: int

    def __call__(self, world: World) -> World:
        """Return the world after it."""
        return replace(world, model=self.model, seed=self.seed)
