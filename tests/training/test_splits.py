"""Laws of the splits: no conversation and no moment of a user on two sides."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from personalm.records import Interaction, Profile
from personalm.settings import Training
from personalm.training.corpus import Corpus, Text
from personalm.training.splits import Side, split_texts

ORDER = list(Side)


def make_corpus(threads: list[list[str | None]]) -> Corpus:
    """Make a corpus: for each author, the thread of each text."""
    return Corpus(
        authors=tuple(
            Profile(
                user_id=f"u{row}",
                interactions=tuple(
                    Interaction(text=f"text {n} of {row}", thread_id=thread)
                    for n, thread in enumerate(own)
                ),
            )
            for row, own in enumerate(threads)
        ),
        texts=tuple(
            Text(author=row, place=place, kind="post")
            for row, own in enumerate(threads)
            for place in range(len(own))
        ),
        counts={},
        languages=("en",),
    )


@given(
    threads=st.lists(
        st.lists(st.none() | st.sampled_from("abcdef"), max_size=30), min_size=1, max_size=6
    ),
    test_share=st.floats(0.05, 0.45),
    validation_share=st.floats(0.05, 0.45),
)
def test_whole_conversations_and_a_users_time_are_on_one_side(
    threads: list[list[str | None]], test_share: float, validation_share: float
) -> None:
    """Nothing is learned that comes after, or answers, what is measured; nothing is lost unsaid."""
    corpus = make_corpus(threads)
    training = Training(test_share=test_share, validation_share=validation_share)
    sides, left_out = split_texts(corpus, training)
    placed = {text: side for side, texts in sides.items() for text in texts}

    assert len(placed) == sum(map(len, sides.values()))
    assert len(placed) + sum(left_out.values()) == len(corpus.texts)
    by_thread: dict[str, set[Side]] = {}
    for text, side in placed.items():
        thread = corpus.interaction(text).thread_id
        if thread is not None:
            by_thread.setdefault(thread, set()).add(side)
    assert all(len(found) == 1 for found in by_thread.values())
    for author in range(len(threads)):
        own = sorted(
            (text.place, ORDER.index(side))
            for text, side in placed.items()
            if text.author == author
        )
        assert all(before <= after for (_, before), (_, after) in pairwise(own))


def test_a_user_with_few_texts_is_learned_from_and_not_measured() -> None:
    """From four texts on there is one of each to hold out."""
    sides, _ = split_texts(make_corpus([[None] * 3, [None] * 4]), Training())

    assert [text.author for text in sides[Side.TRAIN]] == [0, 0, 0, 1, 1]
    assert [(text.author, text.place) for text in sides[Side.VALIDATION]] == [(1, 2)]
    assert [(text.author, text.place) for text in sides[Side.TEST]] == [(1, 3)]


def test_a_conversation_over_a_cut_keeps_its_newest_side() -> None:
    """Its older texts are left out, and counted."""
    corpus = make_corpus([["a", *[None] * 8, "a"]])
    sides, left_out = split_texts(corpus, Training())

    assert sides[Side.TEST][-1].place == 9
    assert 0 not in [text.place for text in sides[Side.TRAIN]]
    assert sum(left_out.values()) == 1
