"""Laws of users who are handed over: read as those of the tables, or refused in words."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from personalm.errors import InputError
from personalm.inputs.given import read_given
from personalm.records import Profile
from personalm.settings import Inputs

if TYPE_CHECKING:
    from collections.abc import Callable

HALF = "half \ud800 of\x00 it"
WHOLE = "half \ufffd of it"


def test_every_text_of_a_profile_is_read_as_a_column_is() -> None:
    """Facts too: templates show them."""
    given = Profile(
        user_id="u",
        name=HALF,
        traits=(HALF,),
        facts={"town": HALF, "tags": (HALF, "x" * 900), "age": 7},
    )
    read = read_given(given, Inputs(max_text_chars=300))

    assert (read.name, read.traits) == (WHOLE, (WHOLE,))
    assert read.facts == {"town": WHOLE, "tags": (WHOLE, "x" * 300), "age": 7}


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_a_missing_text_is_no_text(missing: object) -> None:
    """What pandas has for nothing is no word of the user's."""
    user = {"user_id": 7, "texts": ["a yard", missing, "a shed"], "name": None}
    read = read_given(user, Inputs())

    assert (read.user_id, read.texts, read.name) == ("7", ("a yard", "a shed"), None)
    nothing = dict.fromkeys(("name", "language", "traits", "opt_out", "texts"), missing)
    assert read_given({"user_id": "u", **nothing}, Inputs()) == Profile(user_id="u")


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, pd.Series, pd.array, iter], ids=lambda make: make.__name__
)
def test_texts_may_come_in_whatever_a_notebook_has(make: Callable[[list[str]], object]) -> None:
    """A list, a column, an array."""
    read = read_given({"user_id": "u", "texts": make(["a yard", "a shed"])}, Inputs())

    assert read.texts == ("a yard", "a shed")


def test_one_text_is_a_list_of_one() -> None:
    """It was read letter by letter, each of them a text."""
    read = read_given({"user_id": "u", "texts": "I fixed it", "traits": "likes tea"}, Inputs())

    assert (read.texts, read.traits) == (("I fixed it",), ("likes tea",))


@pytest.mark.parametrize("flag", [True, 1, 1.0, np.True_, np.int64(1)])
def test_a_flag_is_read_as_the_tables_flags_are(flag: object) -> None:
    """Whoever opted out has opted out in any type."""
    assert read_given({"user_id": "u", "opt_out": flag}, Inputs()).opt_out


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ({"texts": ["a"]}, "'user_id' is missing"),
        ({"user_id": "u", "text": "a"}, "unknown 'text'"),
        ({"user_id": None, "texts": ["a"]}, "'user_id' is missing"),
        ({"user_id": "u", "texts": ["a", 7]}, "one of texts is of type int, not text"),
        ({"user_id": "u", "texts": [b"a"]}, "one of texts is of type bytes, not text"),
        ({"user_id": "u", "texts": 7}, "one of texts is of type int, not text"),
        ({"user_id": "u", "texts": {"a": "b"}}, "texts is a mapping"),
        ({"user_id": "u", "traits": [7]}, "one of traits is of type int, not text"),
        ({"user_id": "u", "name": 7}, "name is of type int, not text"),
        ({"user_id": "u", "opt_out": "false"}, "opt_out is neither true nor false"),
        ({"user_id": "u", "opt_out": np.zeros(2)}, "opt_out is neither true nor false"),
        ({"user_id": Decimal("Infinity")}, "an id of type Decimal"),
        ({"user_id": Decimal("sNaN")}, "an id of type Decimal"),
    ],
)
def test_a_mapping_that_is_no_user_is_refused_in_words(user: dict[str, object], named: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(InputError, match=named):
        read_given(user, Inputs())
