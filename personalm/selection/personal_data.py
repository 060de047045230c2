"""Personal data in a text: mail addresses, phone numbers, card numbers, IBANs, street addresses.

Each value is told in one form, so that the same value is recognised however it is written. Phone
numbers are those that a numbering plan knows (phonenumbers), those written as an American one is,
and those that a word announces. Cards and IBANs have check digits. Addresses are told by the word
for a street beside a number, in some European languages, Chinese and Japanese; a name of a street
alone is none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Iterator

# Every repetition has an end: a text of the greatest length must not hold up the others.
_MAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}(?:@|\s?[(\[]\s?at\s?[)\]]\s?)"
    r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[^\W\d_]{2,24}"
)
_CARD = re.compile(r"(?<![\w.-])[2-6](?:[ -]?\d){12,18}(?![\w-]|\.\d)")
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}(?!\w)")
_MIN_IBAN, _MAX_IBAN = 15, 34
_MIN_CARD_DIGITS = 13

_AMERICAN = re.compile(
    r"(?<![\w.-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"
)
_ANNOUNCED = re.compile(
    r"(?:\b(?:phone|telephone|tel|call|ring|text|mobile|cell|whatsapp|telefon|handy|rufen?|"
    r"téléphone|appele[zr]|teléfono|llam\w+|telefono|telefone|celular)\b|電話|电话|手机|携帯|전화)"
    r"[^\d\n+]{0,24}(\+?\d(?:[ ./()-]{0,2}\d){5,14})(?![\d:%])",
    re.IGNORECASE,
)
_MIN_PHONE_DIGITS = 7
_MANY_DIGITS = re.compile(r"(?:\d\D{0,3}){7}")
# Of what a language is spoken in, the countries whose numbers people write without a prefix.
_REGIONS = {
    "en": ("US", "GB"),
    "de": ("DE", "AT", "CH"),
    "fr": ("FR",),
    "es": ("ES", "MX"),
    "it": ("IT",),
    "pt": ("PT", "BR"),
    "nl": ("NL",),
    "pl": ("PL",),
    "ja": ("JP",),
    "zh": ("CN",),
    "ko": ("KR",),
    "ru": ("RU",),
    "tr": ("TR",),
    "sv": ("SE",),
}
_NOWHERE = ("ZZ",)

_NAME = r"[^\W\d_][\w'’.-]{0,30}"
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’.-]{0,30}"
_NUMBER = r"\d{1,5}(?:[ ]?[A-Za-z](?!\w))?"
_ADDRESSES = (
    # 12 Baker Street, 1600 Pennsylvania Ave
    re.compile(
        rf"(?<![\w.:$€£])({_NUMBER}[ ](?:{_CAPITAL}[ ]){{1,3}}"
        r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|"
        r"Square|Sq|Terrace|Close|Crescent|Gardens|Way|Highway|Hwy)\b)"
    ),
    re.compile(
        rf"(?<![\w.:$€£])({_NUMBER}[ ](?!way|lane|min|hour|day|km|mile|minute|dead)"
        rf"{_NAME}[ ](?:street|avenue|boulevard)\b)",
        re.IGNORECASE,
    ),
    # Hauptstraße 5, Lindenstr. 12a, Kerkstraat 9
    re.compile(
        r"(?<!\w)([^\W\d_][\w-]{2,40}(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|straat|laan|plein)"
        rf"[ ]{_NUMBER})(?![\w%:.]*\d)",
        re.IGNORECASE,
    ),
    re.compile(rf"\b({_CAPITAL}[ -](?:Straße|Strasse|Str\.|Weg|Platz|Allee)[ ]{_NUMBER})"),
    # 12 rue de la Paix, Calle Mayor 5, Via Roma 12
    re.compile(
        rf"(?<!\w)({_NUMBER},?[ ](?:bis[ ]|ter[ ])?(?i:rue|avenue|boulevard|place|quai|impasse|"
        rf"chemin|allée)[ ](?:(?:de|du|des|la|le|les)[ ]|[dl]['’]){{0,3}}{_CAPITAL})"
    ),
    re.compile(
        r"(?<!\w)((?i:calle|avenida|avda\.?|plaza|paseo|via|viale|piazza|corso|rua|travessa|ulica|"
        r"ul\.)[ ](?:(?:de|del|da|do|dos|la|las|los|della|di)[ ]){0,3}"
        rf"(?:{_CAPITAL}[ ]?){{1,3}},?[ ]?(?:n[º°.]?[ ]?)?{_NUMBER})(?![\w%:]*\d)"
    ),
    # 〒150-0001, 2丁目3番, 中山路12号
    re.compile(r"(〒\s?\d{3}-?\d{4})"),
    re.compile(r"(\d{1,3}丁目\d{1,3}|[\u4e00-\u9fff]{2,6}[路街巷]\d{1,5}[号號])"),
)


def personal_data_in(text: str, language: str) -> frozenset[str]:
    """Return the personal data of a text, each in one form with its sort before it.

    `language` is an ISO code; it says in which countries' forms a phone number is looked for.
    """
    found = {f"mail {_plain_mail(match)}" for match in _MAIL.findall(text)}
    found |= {f"address {' '.join(split_words(address))}" for address in _addresses(text)}
    if _MANY_DIGITS.search(text):
        rest = text
        for sort, number, written in (*_ibans(text), *_cards(text)):
            found.add(f"{sort} {number}")
            rest = rest.replace(written, " ")
        found |= {f"phone {number}" for number in _phones(rest, language)}
    return frozenset(found)


def is_among(value: str, known: frozenset[str]) -> bool:
    """Tell whether a value is one of those known; of phone numbers the prefix may differ."""
    sort, _, number = value.partition(" ")
    if value in known or sort != "phone":
        return value in known
    others = (other.removeprefix("phone ") for other in known if other.startswith("phone "))
    return any(number.endswith(other) or other.endswith(number) for other in others)


def has_luhn_digit(digits: str) -> bool:
    """Tell whether the last digit of a card number checks the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)  # noqa: PLR2004 - the largest digit
    return total % 10 == 0


def has_iban_digits(iban: str) -> bool:
    """Tell whether digits three and four of an IBAN check the rest (ISO 13616, ISO 7064 97-10)."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _plain_mail(mail: str) -> str:
    return re.sub(r"\s?[(\[]\s?at\s?[)\]]\s?", "@", mail).casefold()


def _ibans(text: str) -> Iterator[tuple[str, str, str]]:
    for match in _IBAN.finditer(text):
        # What follows an IBAN may look as if it went on: the words behind it are left out by turns.
        written = match.group()
        while len(iban := written.replace(" ", "").upper()) >= _MIN_IBAN:
            if len(iban) <= _MAX_IBAN and has_iban_digits(iban):
                yield "iban", iban, written
                break
            written, space, _ = written.rpartition(" ")
            if not space:
                break


def _cards(text: str) -> Iterator[tuple[str, str, str]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if len(digits) >= _MIN_CARD_DIGITS and has_luhn_digit(digits):
            yield "card", digits, match.group()


def _phones(text: str, language: str) -> Iterator[str]:
    from phonenumbers import (  # noqa: PLC0415 - few texts have as many digits
        Leniency,
        PhoneNumberMatcher,
    )

    for pattern in (_AMERICAN, _ANNOUNCED):
        for match in pattern.finditer(text):
            yield _digits(match.group(match.lastindex or 0))
    for region in _REGIONS.get(language, _NOWHERE):
        for found in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            number = _digits(found.raw_string)
            if len(number) >= _MIN_PHONE_DIGITS:
                yield number


def _digits(written: str) -> str:
    """Return the digits of a phone number without what a country or a trunk puts before them."""
    digits = re.sub(r"\D", "", written)
    return digits.removeprefix("00").removeprefix("0")


def _addresses(text: str) -> Iterator[str]:
    for pattern in _ADDRESSES:
        for match in pattern.finditer(text):
            yield match.group(1)
