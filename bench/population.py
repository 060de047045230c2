"""A made-up population: tables of any number of users, the same on every machine.

Users have 1 to about 190 interactions, 20 on average; the rows of a user lie all over the files.
The texts are short, in plain English, and every user returns to a few things of their own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

ROWS_A_USER = 20
_VERSION = "2"
_ROWS_A_FILE = 250_000
_SHARE_WITH_LANGUAGE = 0.5
_FIRST_DAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
_SECONDS = 2 * 365 * 86_400

_OPENINGS = (
    "Finally got round to the",
    "Spent the whole evening on the",
    "Nobody warned me about the",
    "Still thinking about the",
    "Bought a second-hand",
    "My neighbour lent me the",
    "It rained, so I cleaned the",
    "Good morning to everybody but the",
    "Three weeks in, and the",
    "Does anyone else talk to their",
    "Took the long way home past the",
    "Half the street came to look at my",
)
_NOUNS = """kettle bicycle tomatoes piano ferry harbour library allotment chessboard sourdough
telescope lighthouse camera violin beehive greenhouse typewriter radio sailboat pottery marathon
orchard crossword accordion aquarium bonsai calligraphy drone embroidery fountain guitar hammock
inkwell jigsaw kayak lantern mandolin notebook origami pancakes quilt recorder scooter tripod
umbrella vinyl waffles xylophone yoghurt zither"""
_THINGS = tuple(_NOUNS.split())
_MIDDLES = (
    " and it was worth every minute",
    " before the shops opened",
    " with my sister on the phone",
    " although the forecast was dreadful",
    " while the soup went cold",
    " for the first time this year",
    " and now my hands smell of oil",
    " just to see whether it still works",
    " as if it were a holiday",
    " without a single complaint from the cat",
)
_ENDINGS = (
    ".",
    ". Tomorrow again.",
    ". Would do it again in a heartbeat!",
    ", which surprised even me.",
    ". Ask me about it on Sunday.",
    ". No regrets so far.",
    "... we shall see.",
    ". The bread was fine, too.",
    ". Pictures to follow when the light is better.",
    ", and that is all I have to say.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Parquet tables of some users in a folder of their own."""

    folder: Path
    num_users: int

    @property
    def profiles(self) -> Path:
        """Folder of the profiles table."""
        return self.folder / "profiles"

    @property
    def interactions(self) -> Path:
        """Folder of the interactions table."""
        return self.folder / "interactions"

    @property
    def num_interactions(self) -> int:
        """Rows of the interactions table."""
        return self.num_users * ROWS_A_USER

    def user_id(self, number: int) -> str:
        """Return the id of a user, counted from 0."""
        return f"member-{number:07d}"


def make_population(root: Path, num_users: int, *, seed: int = 0) -> Population:
    """Write the tables, or find those that an earlier call has written."""
    population = Population(folder=root / f"{num_users}-users", num_users=num_users)
    mark = population.folder / "done"
    if mark.exists() and mark.read_text(encoding="utf-8") == _VERSION:
        return population
    shutil.rmtree(population.folder, ignore_errors=True)
    rng = np.random.default_rng(seed)
    ids = pa.array([population.user_id(number) for number in range(num_users)])
    _write(population.profiles, _profiles(ids, rng))
    owners = rng.permutation(_owners(num_users, rng))
    things = rng.integers(len(_THINGS), size=(num_users, 3))
    for first in range(0, len(owners), _ROWS_A_FILE):
        part = owners[first : first + _ROWS_A_FILE]
        _write(population.interactions, _interactions(ids, part, things, first, rng), first)
    mark.write_text(_VERSION, encoding="utf-8")
    return population


def make_hoarder(root: Path, num_interactions: int, *, seed: int = 0) -> Population:
    """Write the tables of one user with very many interactions."""
    population = Population(folder=root / f"hoarder-{num_interactions}", num_users=1)
    rng = np.random.default_rng(seed)
    shutil.rmtree(population.folder, ignore_errors=True)
    ids = pa.array([population.user_id(0)])
    _write(population.profiles, _profiles(ids, rng))
    owners = np.zeros(num_interactions, np.int64)
    things = rng.integers(len(_THINGS), size=(1, 3))
    _write(population.interactions, _interactions(ids, owners, things, 0, rng))
    return population


def _owners(num_users: int, rng: np.random.Generator) -> Numbers:
    """Return the user of each row: everybody has one, some have many."""
    weights = rng.gamma(1.5, size=num_users)
    num_left = num_users * (ROWS_A_USER - 1)
    drawn = rng.choice(num_users, size=num_left, p=weights / weights.sum())
    return np.concatenate([np.arange(num_users), drawn])


def _profiles(ids: pa.Array[Any], rng: np.random.Generator) -> pa.Table:
    has_language = pa.array(rng.random(len(ids)) < _SHARE_WITH_LANGUAGE)
    language = pc.if_else(has_language, pa.scalar("en"), pa.scalar(None, pa.string()))
    names = pa.array([f"Member {number}" for number in range(len(ids))])
    return pa.table({"user_id": ids, "name": names, "language": language})


def _interactions(
    ids: pa.Array[Any], owners: Numbers, things: Numbers, first: int, rng: np.random.Generator
) -> pa.Table:
    num_rows = len(owners)
    chosen = things[owners, rng.integers(things.shape[1], size=num_rows)]
    text = pc.binary_join_element_wise(
        _take(_OPENINGS, rng.integers(len(_OPENINGS), size=num_rows)),
        " ",
        _take(_THINGS, chosen),
        _take(_MIDDLES, rng.integers(len(_MIDDLES), size=num_rows)),
        _take(_ENDINGS, rng.integers(len(_ENDINGS), size=num_rows)),
        "",
    )
    seconds = _FIRST_DAY + rng.integers(_SECONDS, size=num_rows)
    return pa.table(
        {
            "user_id": ids.take(pa.array(owners)),
            "text": text,
            "kind": pa.repeat("post", num_rows),
            "created_at": pa.array(seconds).cast(pa.timestamp("s", tz="UTC")),
            "text_id": pa.array(np.arange(first, first + num_rows)),
        }
    )


def _take(words: tuple[str, ...], numbers: Numbers) -> pa.Array[Any]:
    return pa.array(words).take(pa.array(numbers))


def _write(folder: Path, table: pa.Table, number: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"part-{number:09d}.parquet")
