"""Laws of the catalogue."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.planning.catalogue import Catalogue
from personalm.records import Interaction, Item, Profile

_ITEMS = (
    Item(item_id="sea", title="Storm Harbour", description="A ship and its crew in a storm."),
    Item(item_id="bread", title="Bread After Dark", description="Baking rye bread and rolls."),
    Item(item_id="ship", title="The Last Ship", facts={"tags": ("sailing", "crew"), "year": 1990}),
    Item(item_id="cake", title="Cakes", description="Baking cakes for parties."),
)


def _user(*interactions: Interaction, user_id: str = "u1") -> Profile:
    return Profile(user_id=user_id, interactions=interactions)


def test_an_item_is_found_by_its_id() -> None:
    """An id that no item has gives None."""
    catalogue = Catalogue(_ITEMS)

    assert _ITEMS[1] == catalogue.get("bread")
    assert catalogue.get("no such") is None
    assert len(catalogue) == 4


def test_the_choice_is_near_to_what_the_user_liked() -> None:
    """A liked ship brings the other ship, and a liked bread the cake."""
    catalogue = Catalogue(_ITEMS)

    likes_ships = _user(Interaction(item_id="sea", rating=5.0))
    likes_bread = _user(Interaction(item_id="bread"))

    assert _ITEMS[2] == catalogue.choose(likes_ships)
    assert _ITEMS[3] == catalogue.choose(likes_bread)


def test_what_was_rated_below_the_users_own_mean_is_not_liked() -> None:
    """A user who gives 9 and 10 likes the 10 alone."""
    user = _user(Interaction(item_id="sea", rating=9.0), Interaction(item_id="bread", rating=10.0))

    assert _ITEMS[3] == Catalogue(_ITEMS).choose(user)


def test_own_texts_are_interests_too() -> None:
    """A user who rates nothing is known by what is written, whatever the word's form."""
    user = _user(Interaction(text="I baked a cake for the party"))

    assert _ITEMS[3] == Catalogue(_ITEMS).choose(user)


def test_texts_without_spaces_are_matched_by_pairs_of_characters() -> None:
    """Japanese items are found for Japanese texts."""
    items = (Item(item_id="a", title="野球の歴史"), Item(item_id="b", title="世界のラーメン"))

    chosen = Catalogue(items).choose(_user(Interaction(text="昨日おいしいラーメンを食べた")))

    assert items[1] == chosen


@given(st.sets(st.sampled_from([item.item_id for item in _ITEMS])), st.booleans())
def test_an_item_the_user_has_met_is_never_chosen(met: set[str], has_text: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    """Met is met, liked or not; where all are met there is no choice."""
    interactions = [Interaction(item_id=item_id, rating=1.0) for item_id in sorted(met)]
    if has_text:
        interactions.append(Interaction(text="ship and bread"))
    chosen = Catalogue(_ITEMS).choose(_user(*interactions))

    assert (chosen is None) == (len(met) == len(_ITEMS))
    assert chosen is None or chosen.item_id not in met


def test_users_without_interests_do_not_all_get_the_same_item() -> None:
    """Their choice is fixed by user and item, and spread over the catalogue."""
    catalogue = Catalogue(_ITEMS)

    def choices() -> list[Item | None]:
        return [catalogue.choose(_user(user_id=f"u{n}")) for n in range(400)]

    assert choices() == choices()
    assert all(70 <= n <= 130 for n in Counter(i.item_id for i in choices() if i).values())


def test_a_new_item_changes_the_choice_of_few_users_without_interests() -> None:
    """An item added to a hundred is the choice of about one user in a hundred."""
    items = [Item(item_id=str(n), title="thing") for n in range(101)]
    before, after = Catalogue(items[:100]), Catalogue(items)
    users = [_user(user_id=f"u{n}") for n in range(300)]

    changed = [u for u in users if before.choose(u) != after.choose(u)]

    assert len(changed) < 15
    assert all(after.choose(u) == items[100] for u in changed)


def test_ties_go_to_the_item_that_stands_first() -> None:
    """Two items of the same words are told apart by their order."""
    items = [Item(item_id=name, title="red kite") for name in ("z", "a", "m")]

    assert items[0] == Catalogue(items).choose(_user(Interaction(text="a red kite")))


def test_texts_without_a_word_are_no_interest() -> None:
    """Punctuation matches no item, not even one that has no word either."""
    catalogue = Catalogue((*_ITEMS, Item(item_id="marks", title="?!")))

    for n in range(20):
        user_id = f"u{n}"
        mute = _user(Interaction(text="!? ... 1"), user_id=user_id)
        assert catalogue.choose(mute) == catalogue.choose(_user(user_id=user_id))


@pytest.mark.parametrize(
    "items", [(), (Item(item_id="x", title="the"),), (Item(item_id="x", title=""),)]
)
def test_items_without_a_word_are_no_trouble(items: tuple[Item, ...]) -> None:
    """An empty catalogue has no choice, an item of stop words is one."""
    chosen = Catalogue(items).choose(_user(Interaction(text="anything at all")))

    assert (items[0] if items else None) == chosen


def test_ten_thousand_items_take_a_few_milliseconds_a_user() -> None:
    """Measured on real ratings, where the folder of real data is named by PERSONALM_DATA."""
    folder = Path(os.environ.get("PERSONALM_DATA", "/nonexistent")) / "movielens"
    if not folder.is_dir():
        pytest.skip("PERSONALM_DATA names no folder with movielens/")
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where there is real data

    items = [
        Item(item_id=r["movieId"], title=r["title"], facts={"genres": r["genres"]})
        for r in pq.read_table(folder / "items.parquet").to_pylist()
    ]
    rated: dict[str, list[Interaction]] = defaultdict(list)
    for r in pq.read_table(folder / "ratings.parquet").to_pylist():
        rated[r["userId"]].append(Interaction(item_id=r["movieId"], rating=float(r["rating"])))
    catalogue = Catalogue(items)
    catalogue.choose(Profile(user_id="warm"))
    start = time.perf_counter()
    chosen = [catalogue.choose(Profile(user_id=u, interactions=tuple(i))) for u, i in rated.items()]

    assert all(chosen)
    assert (time.perf_counter() - start) / len(rated) < 0.02
