"""Laws of personal data: a value is told in one form, and check digits are checked."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from personalm.selection.personal_data import (
    has_iban_digits,
    has_luhn_digit,
    is_among,
    personal_data_in,
)

CARDS = ("4111111111111111", "5500000000000004", "378282246310005", "6011000990139424")
IBANS = ("DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606")


@given(st.sampled_from(CARDS), st.integers(0, 14), st.integers(1, 9))
def test_a_card_with_one_other_digit_is_none(card: str, place: int, more: int) -> None:
    """The check digit finds every single digit that is wrong."""
    changed = card[:place] + str((int(card[place]) + more) % 10) + card[place + 1 :]
    assert has_luhn_digit(card)
    assert not has_luhn_digit(changed)
    assert personal_data_in(f"it is {card}.", "en") == {f"card {card}"}
    assert not any(v.startswith("card") for v in personal_data_in(f"it is {changed}.", "en"))


@given(st.sampled_from(IBANS), st.integers(0, 20))
def test_an_iban_with_two_neighbours_swapped_is_none(iban: str, place: int) -> None:
    """The check digits find every such swap."""
    assume(place >= 4 and iban[place] != iban[place + 1])
    swapped = iban[:place] + iban[place + 1] + iban[place] + iban[place + 2 :]
    assert has_iban_digits(iban)
    assert not has_iban_digits(swapped)
    spaced = " ".join(iban[i : i + 4] for i in range(0, len(iban), 4))
    found = {personal_data_in(f"to {each}, please", "en") for each in (iban, spaced, iban.lower())}
    assert found == {frozenset({f"iban {iban}"})}


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("+49 30 901820", "030 901820", "de"),
        ("212-736-5000", "+1 (212) 736-5000", "en"),
        ("020 7946 0958", "+44 20 7946 0958", "en"),
    ],
)
def test_a_phone_number_is_the_same_with_and_without_its_country(
    one: str, other: str, language: str
) -> None:
    """As it would be dialled from abroad, and at home."""
    (value,) = personal_data_in(f"call {one}", language)
    known = personal_data_in(f"call {other}", language)
    assert is_among(value, known)
    assert not is_among("phone 2127365001", known)


def test_other_sorts_of_values_do_not_stand_for_each_other() -> None:
    """A number that is known as a card is not known as a phone's."""
    assert not is_among("phone 4111111111111111", frozenset({"card 4111111111111111"}))
    assert not is_among("mail a@example.org", frozenset({"mail b@example.org"}))
