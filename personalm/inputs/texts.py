"""Text columns: one Arrow type, valid UTF-8, cleaned by one rule.

NUL characters are removed and overlong texts cut; what is empty or white space is missing; all
else is kept byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from personalm.inputs.place import Place
    from personalm.inputs.report import Tally

_NUL = "\x00"
_IS_TEXT = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    # Older writers leave out the mark that their bytes are text.
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)


def plain(values: pa.Array[Any]) -> pa.Array[Any]:
    """Return values without a dictionary or an extension type around them."""
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    return values.storage if isinstance(values, pa.ExtensionArray) else values


def is_text_type(kind: pa.DataType) -> bool:
    """Say whether a plain type holds text."""
    return any(test(kind) for test in _IS_TEXT)


def as_text(values: pa.Array[Any], place: Place) -> pa.Array[Any]:
    """Return text of any Arrow type as plain strings, unchanged.

    Raises InputError naming file, column and row for bytes that are not UTF-8, and for values
    that are not text.
    """
    values = plain(values)
    if pa.types.is_null(values.type):
        return values.cast(pa.string())
    if not is_text_type(values.type):
        raise place.error(
            f"the column holds {values.type}, not text",
            remedy="Write the column as text, or map another column in its place.",
        )
    try:
        texts = values.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        index = _first_invalid(values)
        if index is None:
            raise place.error(f"the texts cannot be read: {error}") from None
        raise place.error(
            "the text is not valid UTF-8",
            index=index,
            remedy="Write the column anew, decoded from its true encoding.",
        ) from None
    return texts


def clean_texts(
    texts: pa.Array[Any], *, max_chars: int, column: str, tally: Tally
) -> pa.Array[Any]:
    """Return texts without NUL and no longer than `max_chars`; blank ones are null."""
    num_nul = count_true(pc.match_substring(texts, _NUL))
    if num_nul:
        tally.count(column, "texts held NUL characters, which were removed", num_nul)
        texts = pc.replace_substring(texts, _NUL, "")
    num_long = count_true(pc.greater(pc.utf8_length(texts), max_chars))
    if num_long:
        tally.count(column, f"texts were cut to {max_chars:,} characters", num_long)
        texts = pc.utf8_slice_codeunits(texts, 0, max_chars)
    return without_blanks(texts)


def without_blanks(texts: pa.Array[Any]) -> pa.Array[Any]:
    """Return texts with those that are empty or white space as null."""
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), texts) if count_true(blank) else texts


def count_true(flags: pa.Array[Any]) -> int:
    """Return how many flags are true; nulls are not."""
    return int(pc.sum(flags).as_py() or 0)


def _first_invalid(values: pa.Array[Any]) -> int | None:
    for index, value in enumerate(values.cast(pa.large_binary()).to_pylist()):
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return index
    return None
