"""Values of one column, from the type a file gives them to the form the contract asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.inputs.contract import TYPES, Form
from personalm.inputs.ids import canonical_ids
from personalm.inputs.texts import as_text, clean_texts, is_text_type, plain, without_blanks
from personalm.inputs.times import to_utc

if TYPE_CHECKING:
    from personalm.inputs.place import Place
    from personalm.inputs.report import Tally
    from personalm.settings import TimeUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How a column becomes what the contract asks for; `name` is its name in the contract."""

    name: str
    form: Form
    unit: TimeUnit | None
    zone: str
    max_text_chars: int

    def convert(self, values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
        """Return the values in the contract's type. Raises InputError for those that have none."""
        match self.form:
            case Form.ID:
                ids = canonical_ids(
                    values, file=place.file, column=place.column, first_row=place.first_row
                )
                return without_blanks(ids)
            case Form.TEXT:
                texts = as_text(values, place)
                return self._clean(texts, tally)
            case Form.TEXTS:
                return self._texts(values, place, tally)
            case Form.NUMBER:
                return _numbers(values, place)
            case Form.FLAG:
                return _flags(values, place)
            case Form.TIME:
                return to_utc(
                    values, place, unit=self.unit, zone=self.zone, tally=tally, name=self.name
                )

    def _clean(self, texts: pa.Array[Any], tally: Tally) -> pa.Array[Any]:
        return clean_texts(texts, max_chars=self.max_text_chars, column=self.name, tally=tally)

    def _texts(self, values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
        """Return lists of texts; one text is a list of one, a struct is its values in a row."""
        values = plain(values)
        if pa.types.is_null(values.type):
            return values.cast(TYPES[Form.TEXTS])
        if is_text_type(values.type):
            lists: list[list[Any] | None] = [
                None if text is None else [text] for text in as_text(values, place).to_pylist()
            ]
        else:
            lists = _lists(values, place)
        words = [_in_words(element) for each in lists for element in each or ()]
        texts = iter(self._clean(pa.array(words, pa.string()), tally).to_pylist())
        kept = [
            None if each is None else [text for _ in each if (text := next(texts)) is not None]
            for each in lists
        ]
        return pa.array(kept, TYPES[Form.TEXTS])


def _lists(values: pa.Array[Any], place: Place) -> list[list[Any] | None]:
    if not (_is_list(values.type) and _fits(values.type.value_type)):
        raise place.error(
            f"the column holds {values.type}, not text or lists of text",
            remedy="Write it as list<string>, list<struct> of plain values, or string.",
        )
    try:
        lists: list[list[Any] | None] = values.to_pylist()
    except UnicodeDecodeError:
        raise place.error(
            "a text of a list is not valid UTF-8", index=_first_invalid(values)
        ) from None
    return lists


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _fits(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_fits(field.type) and not pa.types.is_struct(field.type) for field in kind)
    if pa.types.is_dictionary(kind):
        return _fits(kind.value_type)
    plain_types = pa.types.is_null, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean
    texts = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view
    return any(test(kind) for test in plain_types + texts)


def _first_invalid(values: pa.Array[Any]) -> int:
    for index in range(len(values)):
        try:
            values[index].as_py()
        except UnicodeDecodeError:
            return index
    return 0


def _in_words(value: object) -> str | None:
    """Return an element of a list as text; of a struct, the values that are there."""
    if isinstance(value, dict):
        return ": ".join(str(each) for each in value.values() if each is not None) or None
    return None if value is None else str(value)


def _numbers(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    values = plain(values)
    kind = values.type
    if not any(
        test(kind)
        for test in (
            pa.types.is_null,
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
        )
    ):
        raise place.error(
            f"the column holds {kind}, not numbers",
            remedy="Write the column as numbers, or map another column in its place.",
        )
    numbers = values.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _flags(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return values.cast(pa.bool_())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = _numbers(values, place)
        odd = pc.invert(pc.is_in(numbers, pa.array([0.0, 1.0, None])))
        index = pc.index(odd, pa.scalar(True)).as_py()
        if index < 0:
            return numbers.cast(pa.bool_())
        raise place.error("a flag is neither 0 nor 1", index=index)
    raise place.error(
        f"the column holds {kind}, not flags", remedy="Write the column as true and false, or 0/1."
    )
