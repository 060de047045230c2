"""Laws of users who are handed over: read as those of the tables, or refused in words."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalm.errors import InputError
from personalm.inputs.given import read_given
from personalm.inputs.lookup import find_user
from personalm.records import Interaction, Profile
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


_WORDS = st.text(st.sampled_from("ab \n\x00é\u3000"), max_size=5) | st.just(f"{' ' * 100}late")
_MAYBE = st.none() | _WORDS
_FLAGS = st.sampled_from([None, True, False, 0, 1, 0.0, 1.0, float("nan")])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    user_id=st.sampled_from([7, "7 ", " a", "A8098C1A-F86E-11DA-BD1A-00112444BE1E"]),
    name=_MAYBE,
    language=_MAYBE,
    traits=st.none() | st.lists(_MAYBE, max_size=4),
    opt_out=_FLAGS,
    texts=st.none() | st.lists(_MAYBE, max_size=6),
)
def test_a_mapping_is_the_user_that_a_row_of_a_table_is(user_id: int | str, **fields: Any) -> None:
    """In every field: what is blank there is missing here, and no id loses its white space."""
    inputs = Inputs(max_text_chars=100)
    row = {
        "user_id": [user_id],
        "name": pa.array([fields["name"]], pa.string()),
        "language": pa.array([fields["language"]], pa.string()),
        "traits": pa.array([fields["traits"]], pa.list_(pa.string())),
        "opt_out": [fields["opt_out"]],
        "interactions": pa.array([fields["texts"]], pa.list_(pa.string())),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/p.parquet"
        pq.write_table(pa.table(row), path)
        found = find_user(inputs.model_copy(update={"profiles": (path,)}), user_id)
    read = read_given({"user_id": user_id, **fields}, inputs)

    assert found is not None
    assert read == replace(found.profile, interactions=read.interactions)
    # A table without times has an order of its own.
    by_text = sorted(read.interactions, key=lambda each: each.text)
    assert by_text == sorted(found.profile.interactions, key=lambda each: each.text)


def test_what_says_nothing_takes_the_place_of_no_text() -> None:
    """Of very many the newest texts are used, as of a table."""
    user = {"user_id": "u", "texts": ["old", "one", " ", "two", "", "\x00"]}

    assert read_given(user, Inputs(max_user_interactions=2)).texts == ("one", "two")


def test_nothing_of_a_profile_is_blank() -> None:
    """A profile of the caller's own is read by the same rules, in all that it holds."""
    empty = Interaction(
        text=" ", kind="", rating=float("nan"), item_id=" ", text_id="", thread_id=""
    )
    given = Profile(
        user_id="A8098C1A-F86E-11DA-BD1A-00112444BE1E",
        name=" ",
        language="",
        traits=("calm", "", " "),
        facts={"town": " ", "age": float("inf"), "tags": ("a", ""), "height": 1.8},
        interactions=(empty,),
    )

    assert read_given(given, Inputs()) == Profile(
        user_id="a8098c1a-f86e-11da-bd1a-00112444be1e",
        traits=("calm",),
        facts={"tags": ("a",), "height": 1.8},
        interactions=(Interaction(),),
    )


@pytest.mark.parametrize("user", [{"user_id": " "}, {"user_id": ""}, Profile(user_id="\u3000")])
def test_an_id_of_blanks_names_nobody(user: Any) -> None:
    """In a table such a row is nobody's."""
    with pytest.raises(InputError, match="names nobody"):
        read_given(user, Inputs())
