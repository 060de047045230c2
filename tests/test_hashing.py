"""Laws of the hashes that everything else follows from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.hashing import bucket_of, digest, subject_id_of, user_digest


def test_digests_never_change_between_versions() -> None:
    """Golden values: a changed digest would redo every text of every user."""
    assert digest(["a", 1, None])[:16] == "0ae764bffd3a17b6"
    assert user_digest("u-maren")[:16] == "f05c6cd3e74aa240"
    assert bucket_of("u-maren", 16) == 15
    assert subject_id_of("a  b", None) == "s-6fda612aa1d84020"


@given(st.text(), st.integers(1, 4096))
def test_buckets_are_ranges_of_the_user_digest(user_id: str, num_buckets: int) -> None:
    """Users in the order of their digests fill the buckets one after the other."""
    bucket = bucket_of(user_id, num_buckets)

    assert 0 <= bucket < num_buckets
    assert bucket == int(int(user_digest(user_id)[:8], 16) / 2**32 * num_buckets)


def test_the_order_of_a_mapping_does_not_matter() -> None:
    """Equal mappings have equal digests."""
    assert digest({"a": 1, "b": (2, "x")}) == digest({"b": [2, "x"], "a": 1})


def test_one_instant_in_two_zones_is_one_value() -> None:
    """Times are compared as instants."""
    utc = datetime(2026, 1, 1, 12, tzinfo=UTC)
    east = utc.astimezone(timezone(timedelta(hours=5)))

    assert digest(utc) == digest(east)


def test_a_value_without_a_canonical_form_is_refused() -> None:
    """Nothing is hashed by its address in memory."""
    with pytest.raises(TypeError, match="no canonical form for object"):
        digest(object())


@given(st.text(), st.text())
def test_white_space_does_not_make_another_subject(subject: str, instructions: str) -> None:
    """Two requests that differ in white space alone have one key."""
    spaced = f"  {subject}\n"

    assert subject_id_of(spaced, instructions) == subject_id_of(subject, instructions)
