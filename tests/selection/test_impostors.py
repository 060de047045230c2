"""Laws of the pool: people's own texts, of every length, and never those of who is scored."""

from __future__ import annotations

import numpy as np

from personalm.selection.impostors import (
    MAX_TEXTS_A_LENGTH,
    Author,
    Impostor,
    Impostors,
    choose_impostors,
)

BOILERPLATE = "Thank you for reaching out, we are happy to help you today."


def author(number: int, *texts: str, language: str = "en") -> Author:
    """Return somebody with texts of two lengths, and those given."""
    own = [f"my garden number {number} has a pond and {each} ducks" for each in range(5)]
    long = " ".join(f"word{number}x{each}" for each in range(30))
    return Author(owner=f"o{number:02d}", language=language, texts=(*own, long, *texts))


def choose(*authors: Author, min_impostors: int = 3) -> tuple[Impostor, ...]:
    """Choose among some authors."""
    return choose_impostors(authors, min_words=5, min_impostors=min_impostors)


def test_of_everybody_some_texts_of_each_length_are_chosen() -> None:
    """Which ones follows from the texts, not from who else is there."""
    authors = [author(number) for number in range(12)]
    chosen = choose(*authors)
    for each in authors:
        of_author = [c for c in chosen if c.owner == each.owner]
        assert sorted(c.num_words for c in of_author) == [10] * MAX_TEXTS_A_LENGTH + [30]
    fewer = choose(*authors[1:])
    assert fewer == tuple(c for c in chosen if c.owner != authors[0].owner)
    assert choose(*authors[::-1])[::-1] != ()


def test_what_several_people_wrote_is_nobodys_style() -> None:
    """A brand's phrase is dropped, whatever its case and marks."""
    loud = BOILERPLATE.upper() + "!!"
    chosen = choose(
        *(author(number, BOILERPLATE if number % 2 else loud) for number in range(12)),
    )
    assert not [c for c in chosen if c.text.casefold().startswith("thank you")]
    alone = Author(owner="p", language="en", texts=(BOILERPLATE, loud))
    chosen = choose(*(author(number) for number in range(12)), alone)
    assert len([c for c in chosen if c.owner == "p"]) == 1


def test_too_few_people_make_no_pool() -> None:
    """Of one length and language there must be more than are asked for."""
    assert choose(*(author(number) for number in range(2)), min_impostors=4) == ()
    assert choose(*(author(number) for number in range(3)), min_impostors=4) != ()
    mixed = [author(number, language=f"l{number}") for number in range(9)]
    assert choose(*mixed, min_impostors=4) == ()


def test_short_texts_are_nobody() -> None:
    """A greeting would make every long text look like its user's."""
    chatty = Author(owner="c", language="en", texts=("hi all", "ok", "yes please do"))
    assert all(c.owner != "c" for c in choose(*(author(n) for n in range(12)), chatty))


def test_who_is_scored_is_no_stranger() -> None:
    """Nor is somebody who writes another language."""
    pool = Impostors(
        rows=np.arange(8, dtype=np.float32).reshape(4, 2),
        owners=("a", "b", "a", "c"),
        languages=("en", "en", "en", "ja"),
        num_words=(10, 30, 60, 10),
        digest="d",
    )
    found = pool.strangers_to("a", "en")
    assert found.rows.tolist() == [[2, 3]]
    assert found.buckets.tolist() == [1]
    assert len(pool.strangers_to("z", "en").rows) == 3
    assert pool.strangers_to("c", "ja").rows.shape == (0, 2)
    assert "en" not in repr(pool)


def test_who_is_not_in_the_pool_meets_all_of_the_language() -> None:
    """The same rows for everybody but those whose texts are among them."""
    pool = Impostors(
        rows=np.arange(10, dtype=np.float32).reshape(5, 2),
        owners=("a", "a", "b", "c", "d"),
        languages=("en", "en", "en", "de", "en"),
        num_words=(10, 30, 10, 10, 400),
        digest="",
    )
    everybody = pool.strangers_to("nobody", "en")
    assert everybody.rows[:, 0].tolist() == [0, 2, 4, 8]
    assert everybody.buckets.tolist() == [0, 1, 0, 4]
    assert pool.strangers_to("c", "en").rows[:, 0].tolist() == [0, 2, 4, 8]
    assert pool.strangers_to("a", "en").rows[:, 0].tolist() == [4, 8]
    assert pool.strangers_to("nobody", "en").rows[:, 0].tolist() == [0, 2, 4, 8]
    assert not len(pool.strangers_to("nobody", "fr").rows)
