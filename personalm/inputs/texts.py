"""Text columns: one Arrow type, valid UTF-8, cleaned by one rule.

NUL characters are removed, half characters replaced and overlong texts cut; what is empty or white
space is missing; all else is kept byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from personalm.inputs.report import Effect, count_true

if TYPE_CHECKING:
    from personalm.errors import InputError
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


def without_views(values: pa.Array[Any]) -> pa.Array[Any]:
    """Return values that can be chosen from: Arrow cannot take or filter views of text."""
    kind = type_without_views(values.type)
    return values if kind == values.type else values.cast(kind)


def type_without_views(kind: pa.DataType) -> pa.DataType:
    """Return a type with plain text for views of text, at any depth."""
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(type_without_views(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(type_without_views(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(type_without_views(kind.value_type)))
    return kind


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
        for index, data in enumerate(values.cast(pa.large_binary()).to_pylist()):
            if data is not None and not _is_utf8(data):
                raise _not_utf8(place, index) from None
        raise place.error(f"the texts cannot be read: {error}") from None
    return texts


def as_whole_text(values: pa.Array[Any], place: Place, tally: Tally) -> pa.Array[Any]:
    """Return text as `as_text` does, but for halves of characters.

    Two halves that belong together become their character, as some writers store an emoji; a lone
    one becomes U+FFFD and is counted. Raises InputError for other bytes that are not UTF-8.
    """
    values = plain(values)
    if not is_text_type(values.type) or _is_sound(values):
        return as_text(values, place)
    texts: list[str | None] = []
    was_cut = []
    for index, data in enumerate(values.cast(pa.large_binary()).to_pylist()):
        text = None if data is None else _join_halves(data)
        if data is not None and text is None:
            raise _not_utf8(place, index)
        texts.append(text)
        was_cut.append(text is not None and not _is_utf8(data) and "\ufffd" in text)
    tally.mark(
        place,
        pa.array(was_cut),
        Effect.CHANGED,
        "texts held half a character, which was replaced",
        remedy="Cut texts between characters, where they are written.",
    )
    return pa.array(texts, pa.string())


def clean_texts(
    texts: pa.Array[Any], place: Place, *, max_chars: int, tally: Tally
) -> pa.Array[Any]:
    """Return texts without NUL and no longer than `max_chars`; blank ones are null."""
    has_nul = pc.match_substring(texts, _NUL)
    what = "texts held NUL characters, which were removed"
    if tally.mark(place, has_nul, Effect.CHANGED, what):
        texts = pc.replace_substring(texts, _NUL, "")
    is_long = pc.greater(pc.utf8_length(texts), max_chars)
    what = f"texts were cut to {max_chars:,} characters"
    remedy = "Set inputs.max_text_chars to keep more of each."
    if tally.mark(place, is_long, Effect.CHANGED, what, remedy=remedy):
        texts = pc.utf8_slice_codeunits(texts, 0, max_chars)
    return without_blanks(texts)


def clean_text(text: str, *, max_chars: int) -> str | None:
    """Return one text by the rule of the columns: no half character, no NUL, cut; None if blank."""
    cleaned = _joined(text).replace(_NUL, "")[:max_chars]
    return cleaned if cleaned.strip() else None


def without_blanks(texts: pa.Array[Any]) -> pa.Array[Any]:
    """Return texts with those that are empty or white space as null."""
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), texts) if count_true(blank) else texts


def _is_sound(values: pa.Array[Any]) -> bool:
    try:
        values.cast(pa.string()).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _join_halves(data: bytes) -> str | None:
    """Return bytes as text, halves of characters joined or replaced; None for other bytes."""
    try:
        return _joined(data.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return None


def _joined(halves: str) -> str:
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _not_utf8(place: Place, index: int) -> InputError:
    return place.error(
        "the text is not valid UTF-8",
        index=index,
        remedy="Write the column anew, decoded from its true encoding.",
    )
