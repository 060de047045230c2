"""The prices of a text, each as a currency and a number in one form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personalm.selection.claims import plain_number

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNS = {
    "$": "dollar",
    "€": "euro",
    "£": "pound",
    "¥": "yen",
    "￥": "yen",
    "₹": "rupee",
    "₩": "won",
    "₺": "lira",
    "₽": "rouble",
}
_WORDS = {
    "dollar": "dollar|dollars|usd|bucks?|dólares|dollari|ドル|美元",
    "euro": "euros?|eur|ユーロ|欧元",
    "pound": "pounds?|gbp|quid",
    "yen": "yen|jpy|円|日元",
    "yuan": "yuan|rmb|cny|元|块钱?|人民币",
    "franc": "chf|francs?|franken|fr\\.",
    "krona": "kronor|kroner|kronen|kr|sek|nok|dkk",
    "zloty": "zł|pln|zlotys?",
    "rupee": "rupees?|inr",
    "won": "won|krw|원",
    "rouble": "roubles?|rubles?|rub|руб(?:лей|ля|ль)?",
    "lira": "lira|tl",
    "cent": "cents?|pence|rappen",
}
_AMOUNT = r"(?<![\d.,])\d{1,12}(?:[.,]\d{1,12}){0,4}"
_BEFORE = re.compile(rf"([{''.join(_SIGNS)}])\s?({_AMOUNT})")
_NAMED = "|".join(
    # Of a script without spaces any character may follow.
    rf"(?P<{name}>(?:{words})(?![^\W\d_\u3040-\u9fff]))"
    for name, words in _WORDS.items()
)
_AFTER = re.compile(rf"({_AMOUNT})\s?(?:([{''.join(_SIGNS)}])|{_NAMED})", re.IGNORECASE)
_CODE_BEFORE = re.compile(rf"\b(usd|eur|gbp|jpy|chf|inr|cny|pln)\s?({_AMOUNT})", re.IGNORECASE)
_CODES = {"usd": "dollar", "eur": "euro", "gbp": "pound", "jpy": "yen", "chf": "franc"}
_CODES |= {"inr": "rupee", "cny": "yuan", "pln": "zloty"}
_CENTS = re.compile(r",(\d{2})\Z")
ANY = "any"
"""Currency of an amount that is known as a price without one."""


def prices_in(text: str) -> frozenset[tuple[str, str]]:
    """Return the currency and the number of each price: $12, 12.00 dollars and USD 12 are one."""
    return frozenset(_find(text))


def is_told(price: tuple[str, str], known: frozenset[tuple[str, str]]) -> bool:
    """Tell whether a price is among those known, be it without a currency."""
    return price in known or (ANY, price[1]) in known


def amount_of(number: float) -> str:
    """Return a number in the form that prices have."""
    return plain_number(f"{number:.2f}")


def _find(text: str) -> Iterator[tuple[str, str]]:
    for match in _BEFORE.finditer(text):
        yield _SIGNS[match.group(1)], _plain(match.group(2))
    for match in _CODE_BEFORE.finditer(text):
        yield _CODES[match.group(1).lower()], _plain(match.group(2))
    for match in _AFTER.finditer(text):
        sign = match.group(2)
        named = next((name for name, found in match.groupdict().items() if found), "")
        yield _SIGNS[sign] if sign else named, _plain(match.group(1))


def _plain(amount: str) -> str:
    """Return an amount in one form; in much of the world a comma stands before the cents."""
    return plain_number(_CENTS.sub(r".\1", amount))
