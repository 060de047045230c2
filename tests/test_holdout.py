"""Laws of the split: nothing that a prompt shows tells what is held out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from personalm.holdout import (
    MIN_HELD_OUT,
    MIN_HISTORY,
    drop_twins,
    spare_held_out,
    split_by_time,
)
from personalm.records import Interaction, Profile

START = datetime(2024, 1, 1, 8, tzinfo=UTC)
rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([None, "a", "b", "c", "d"])), max_size=60
)


def write(text: str, *, day: int | None = 0, thread: str | None = None) -> Interaction:
    """Return a text of a day."""
    created_at = None if day is None else START + timedelta(days=day)
    return Interaction(text=text, created_at=created_at, thread_id=thread)


@given(rows)
def test_history_and_held_out_share_neither_day_nor_thread(
    found: list[tuple[int, str | None]],
) -> None:
    """The held-out texts are the newer ones, and a thread lies on one side as a whole."""
    written = [
        write(str(place), day=day, thread=thread)
        for place, (day, thread) in enumerate(sorted(found, key=lambda row: row[0]))
    ]

    parts = split_by_time(written)

    if parts is None:
        return
    history, held_out = parts
    assert len(history) >= MIN_HISTORY
    assert len(held_out) >= MIN_HELD_OUT
    assert held_out == tuple(written[-len(held_out) :])
    assert history[-1].created_at
    assert held_out[0].created_at
    assert history[-1].created_at.date() < held_out[0].created_at.date()
    threads = [{each.thread_id for each in part if each.thread_id} for part in parts]
    assert threads[0].isdisjoint(threads[1])


def test_about_a_quarter_is_held_out() -> None:
    """Forty texts on twenty days: the newest five days."""
    parts = split_by_time([write(str(n), day=n // 2) for n in range(40)])

    assert parts is not None
    assert [len(part) for part in parts] == [30, 10]


def test_who_wrote_on_one_day_is_not_parted() -> None:
    """There is no day between the texts."""
    assert split_by_time([write(str(n), day=3) for n in range(100)]) is None


def test_a_crowded_last_day_leaves_the_most_to_the_history() -> None:
    """Where no cut gives a quarter alone, one is taken that parts at all."""
    written = [write(str(n), day=0) for n in range(10)] + [write(str(n), day=1) for n in range(40)]

    parts = split_by_time(written)

    assert parts is not None
    assert [len(part) for part in parts] == [10, 40]


def test_texts_without_times_are_parted_by_their_order() -> None:
    """Order is all that is known of them."""
    parts = split_by_time([write(str(n), day=None) for n in range(40)])

    assert parts is not None
    assert [len(part) for part in parts] == [30, 10]


def test_a_text_told_twice_stays_once() -> None:
    """The earlier one, whatever its case and punctuation; so do nearly equal ones."""
    texts = (
        "The bus never came, so I walked home along the river.",
        "the bus never came so i walked home along the river",
        "The bus never came, so I walked home along the canal.",
        "Tomatoes at the market were cheap, and the soup was good.",
        "...",
    )

    kept = drop_twins([write(text) for text in texts])

    assert [each.text for each in kept] == [texts[0], texts[3]]


def test_short_texts_that_differ_stay() -> None:
    """Three words or fewer have no shingles to share."""
    texts = ["oh no", "oh well", "ok", "good night then"]

    assert [each.text for each in drop_twins([write(text) for text in texts])] == texts


long_rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([None, None, None, "a", "b"])),
    min_size=30,
    max_size=60,
)


@given(found=long_rows, has_other_kinds=st.booleans())
def test_what_is_spared_is_seen_in_no_form(
    *, found: list[tuple[int, str | None]], has_other_kinds: bool
) -> None:
    """Nothing held out is left, nor what was written since, nor the rest of its threads."""
    user = Profile(
        user_id="ada",
        interactions=tuple(
            replace(
                write(f"text {place} of some words", day=day, thread=thread),
                kind="other" if has_other_kinds and place % 3 else "post",
            )
            for place, (day, thread) in enumerate(sorted(found, key=lambda row: row[0]))
        ),
    )
    posts = [each for each in user.interactions if each.kind == "post"]
    parts = split_by_time(drop_twins(posts))

    left = spare_held_out(user, ["post"], min_texts=10)

    if parts is None:
        assert left == user
        return
    first = parts[1][0]
    assert first.created_at
    threads = {each.thread_id for each in parts[1] if each.thread_id}
    assert set(parts[0]) <= set(left.interactions)
    assert all(each.created_at < first.created_at for each in left.interactions if each.created_at)
    assert threads.isdisjoint(each.thread_id for each in left.interactions)


def test_a_quarter_is_spared_and_of_little_nothing() -> None:
    """Forty texts on twenty days lose the newest five days, another kind's texts as well."""
    written = [write(f"text {n} of some words", day=n // 2) for n in range(40)]
    kinds = [replace(each, kind="post" if n % 2 else "note") for n, each in enumerate(written)]
    user = Profile(user_id="ada", interactions=tuple(kinds))

    left = spare_held_out(user, ["post"], min_texts=20)

    assert left.interactions == user.interactions[: len(left.interactions)]
    assert 28 <= len(left.interactions) <= 30
    assert spare_held_out(user, ["post"], min_texts=41) == user
