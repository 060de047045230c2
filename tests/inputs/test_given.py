"""Laws of users who are handed over: read as those of the tables, or refused in words."""

from __future__ import annotations

import pytest

from personalm.errors import InputError
from personalm.inputs.given import read_given
from personalm.records import Profile
from personalm.settings import Inputs

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


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_text_is_no_text(missing: object) -> None:
    """What pandas has for nothing is no word of the user's."""
    user = {"user_id": 7, "texts": ["a yard", missing, "a shed"], "name": None}
    read = read_given(user, Inputs())

    assert (read.user_id, read.texts, read.name) == ("7", ("a yard", "a shed"), None)


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ({"texts": ["a"]}, "'user_id' is missing"),
        ({"user_id": "u", "text": "a"}, "unknown 'text'"),
        ({"user_id": "u", "texts": ["a", 7]}, "texts holds int, not text"),
        ({"user_id": "u", "texts": [b"a"]}, "texts holds bytes, not text"),
    ],
)
def test_a_mapping_that_is_no_user_is_refused_in_words(user: dict[str, object], named: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(InputError, match=named):
        read_given(user, Inputs())
