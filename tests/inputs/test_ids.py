"""Laws of canonical ids."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.errors import InputError
from personalm.inputs.ids import canonical_id, canonical_ids
from personalm.inputs.place import Place

_UUID = uuid.UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")


def _ids(values: pa.Array[Any], first_row: int = 0) -> list[str | None]:
    return canonical_ids(values, Place(file="f", column="c", first_row=first_row)).to_pylist()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([7, None]),
        pa.array([7, None], pa.uint64()),
        pa.array([7, None], pa.int8()),
        pa.array(["7", None]),
        pa.array(["7", None], pa.large_string()),
        pa.array(["7", None], pa.string_view()),
        pa.array(["7", None]).dictionary_encode(),
        pa.array([Decimal(7), None], pa.decimal128(20, 0)),
        pa.array([Decimal("7.00"), None], pa.decimal128(20, 2)),
        pa.array([b"7", None], pa.binary()),
    ],
    ids=lambda values: str(values.type),
)
def test_one_user_has_one_id_in_every_type(values: pa.Array[Any]) -> None:
    """The type a file happens to use never makes two users of one; nulls stay null."""
    assert _ids(values) == ["7", None]


@pytest.mark.parametrize("text", ["007", "1e-10", "40+2", '"5"', "2018-10-09", " a ", "Ä", "A"])
def test_text_ids_stay_byte_for_byte(text: str) -> None:
    """Text that looks like a number or a date is neither; nothing is stripped or folded."""
    assert _ids(pa.array([text])) == [text] == [canonical_id(text)]


def test_two_unicode_forms_are_two_ids() -> None:
    """An accented letter in one code point or two is left as it is."""
    assert len(set(_ids(pa.array(["\u00e9", "e\u0301"])))) == 2


def test_large_whole_numbers_keep_every_digit() -> None:
    """An id beyond the precision of floats is exact."""
    assert _ids(pa.array([143349558619761321])) == ["143349558619761321"]


@pytest.mark.parametrize("kind", [pa.binary(16), pa.uuid()], ids=str)
def test_uuids_are_lower_case_text(kind: pa.DataType) -> None:
    """Sixteen bytes and the UUID type give one text, the same as a UUID object."""
    values = pa.array([_UUID.bytes, None], pa.binary(16)).cast(kind)
    assert _ids(values) == [str(_UUID), None]
    assert canonical_id(_UUID) == str(_UUID)


def test_floats_are_refused_with_the_reason_and_the_row() -> None:
    """A float may have lost digits already: the message says so, and what to do."""
    with pytest.raises(InputError, match="1 would be one user") as caught:
        _ids(pa.array([None, float("nan"), 2.0]), first_row=10)
    assert caught.value.row == 12
    assert "Int64" in str(caught.value)
    with pytest.raises(InputError, match="lose digits"):
        canonical_id(1.0)


def test_a_float_column_without_values_is_one_of_nulls() -> None:
    """This is how pandas writes a column in which nothing is."""
    assert _ids(pa.array([None, float("nan")], pa.float64())) == [None, None]


def test_a_decimal_with_a_fraction_is_no_id() -> None:
    """A fraction is refused with its row."""
    with pytest.raises(InputError, match="after the point") as caught:
        _ids(pa.array([Decimal("1.00"), Decimal("1.50")]), first_row=1)
    assert caught.value.row == 2


@pytest.mark.parametrize("values", [[True], [b"x" * 3], [["a"]]], ids=str)
def test_other_types_are_refused_by_name(values: list[Any]) -> None:
    """Flags, bytes of another length and lists have no canonical text."""
    kinds = {bytes: pa.binary(3)}
    with pytest.raises(InputError, match="no canonical text"):
        _ids(pa.array(values, kinds.get(type(values[0]))))


@pytest.mark.parametrize("value", [True, None, b"7", 1.5, Decimal("1.5"), "\ud800", ["7"]])
def test_a_value_without_an_exact_text_is_no_id(value: object) -> None:
    """One scalar is judged like a column."""
    with pytest.raises(InputError):
        canonical_id(value)


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="utf-8"))))
def test_a_scalar_and_a_column_agree(value: int | str) -> None:
    """The id of one value is the id that a column of it has."""
    assert _ids(pa.array([value])) == [canonical_id(value)]


def test_numbers_of_numpy_are_numbers() -> None:
    """A notebook hands over what a data frame holds."""
    assert canonical_id(np.int64(7)) == "7"
    assert canonical_id(Decimal(7)) == "7"
