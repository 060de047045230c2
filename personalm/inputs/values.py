"""Values of one column, from the type a file gives them to the form the contract asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalm.inputs.contract import TYPES, Form
from personalm.inputs.ids import canonical_ids
from personalm.inputs.markup import strip_all
from personalm.inputs.nested import as_lists, is_list
from personalm.inputs.report import Effect
from personalm.inputs.texts import (
    as_whole_text,
    clean_texts,
    is_text_type,
    plain,
    without_blanks,
)
from personalm.inputs.times import to_utc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.inputs.place import Place
    from personalm.inputs.report import Tally
    from personalm.settings import Markup, TimeUnit


_FLAGS = {"1": True, "0": False, "true": True, "false": False}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How a column becomes what the contract asks for; `name` is its name in the contract."""

    name: str
    form: Form
    unit: TimeUnit | None
    zone: str
    max_text_chars: int
    markup: Markup | None = None

    def convert(self, values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
        """Return the values in the contract's type. Raises InputError for those that have none."""
        match self.form:
            case Form.ID:
                return _ids(values, place, tally)
            case Form.TEXT:
                return self._clean(as_whole_text(values, place, tally), place, tally)
            case Form.TEXTS:
                return self._texts(values, place, tally)
            case Form.NUMBER:
                return _numbers(values, place, tally)
            case Form.FLAG:
                return _flags(values, place, tally)
            case Form.TIME:
                return to_utc(
                    values, place, unit=self.unit, zone=self.zone, tally=tally, name=self.name
                )

    def read_words(self, words: str, place: Place) -> str | float | bool:
        """Return what the name of a folder says: it can hold nothing but text.

        Raises InputError for a flag or a number that is none.
        """
        if self.form is Form.FLAG and words.lower() in _FLAGS:
            return _FLAGS[words.lower()]
        if self.form is Form.NUMBER and _NUMBER.fullmatch(words):
            return float(words)
        if self.form in {Form.FLAG, Form.NUMBER}:
            wanted = "a number" if self.form is Form.NUMBER else "true or false, 1 or 0"
            raise place.error(
                f"the folder of the file gives this column, and not as {wanted}",
                remedy="Rename the folder, or map another column.",
            )
        return words

    def _clean(self, texts: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
        if self.markup is not None:
            texts = strip_all(texts, self.markup)
        return clean_texts(texts, place, max_chars=self.max_text_chars, tally=tally)

    def _texts(self, values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
        """Return lists of texts; one text is a list of one, a struct is its values in a row."""
        values = plain(values)
        if pa.types.is_null(values.type):
            return values.cast(TYPES[Form.TEXTS])
        if is_text_type(values.type):
            texts = self._clean(as_whole_text(values, place, tally), place, tally)
            each = pc.cast(pc.is_valid(texts), pa.int32())
            return _rebuild(pc.drop_null(texts), each, pc.is_valid(values))
        if not (is_list(values.type) and _fits(values.type.value_type)):
            raise place.error(
                f"the column holds {values.type}, not text or lists of text",
                remedy="Write it as list<string>, list<struct> of plain values, or string.",
            )
        lists = as_lists(values)
        parents = pc.list_parent_indices(lists)
        rows = pa.array([place.row(index) for index in parents.to_pylist()], pa.int64())
        inside = replace(place, rows=rows)
        words = _in_words(plain(pc.list_flatten(lists)), inside, tally)
        texts = self._clean(words, inside, tally)
        num_texts = np.bincount(parents.filter(pc.is_valid(texts)), minlength=len(lists))
        return _rebuild(pc.drop_null(texts), pa.array(num_texts), pc.is_valid(lists))


def _ids(values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
    ids = without_blanks(canonical_ids(values, place))
    if is_text_type(plain(values).type):
        has_spaces = pc.not_equal(pc.utf8_trim_whitespace(ids), ids)
        what = "ids begin or end with white space, which is a part of them"
        remedy = "Strip them in every table, if others write the same ids without it."
        tally.mark(place, has_spaces, Effect.KEPT, what, remedy=remedy)
    return ids


def _rebuild(
    texts: pa.Array[Any], num_texts: pa.Array[Any], is_list: pa.Array[Any]
) -> pa.Array[Any]:
    """Return lists of so many texts each, null where there is none."""
    ends = np.cumsum(num_texts.to_numpy(zero_copy_only=False), dtype=np.int32)
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
    lists = pa.ListArray.from_arrays(offsets, texts, mask=pc.invert(is_list))
    return lists.cast(TYPES[Form.TEXTS])


def _fits(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_fits(field.type) and not pa.types.is_struct(field.type) for field in kind)
    if pa.types.is_dictionary(kind):
        return _fits(kind.value_type)
    plain_types = pa.types.is_null, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean
    texts = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view
    return any(test(kind) for test in plain_types + texts)


def _in_words(values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
    """Return elements of lists as texts; of a struct, the values that are there."""
    if is_text_type(values.type) or pa.types.is_null(values.type):
        return as_whole_text(values, place, tally)
    if not pa.types.is_struct(values.type):
        return _strings(values.to_pylist())
    fields = [_in_words(plain(field), place, tally).to_pylist() for field in values.flatten()]
    return _strings(
        ": ".join(word for word in words if word is not None) or None
        for words in zip(*fields, strict=True)
    )


def _strings(values: Iterable[object]) -> pa.Array[Any]:
    return pa.array([None if v is None else str(v) for v in values], pa.string())


def _numbers(values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
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
    tally.mark(
        place, pc.is_inf(numbers), Effect.MISSING, "numbers are infinite, and count as missing"
    )
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _flags(values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return values.cast(pa.bool_())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = _numbers(values, place, tally)
        odd = pc.invert(pc.is_in(numbers, pa.array([0.0, 1.0, None])))
        index = pc.index(odd, pa.scalar(True)).as_py()
        if index < 0:
            return numbers.cast(pa.bool_())
        raise place.error("a flag is neither 0 nor 1", index=index)
    raise place.error(
        f"the column holds {kind}, not flags", remedy="Write the column as true and false, or 0/1."
    )
