"""Laws of tokenizers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from personalm.prompting.tokenizer import ByteTokenizer


@given(st.text())
def test_a_text_survives_its_bytes(text: str) -> None:
    """Encoding and decoding give the text back."""
    tokenizer = ByteTokenizer()

    assert text == tokenizer.decode(tokenizer.encode(text))


def test_half_a_character_and_foreign_ids_are_no_error() -> None:
    """A cut may fall into a character; an engine may draw ids of its own."""
    tokenizer = ByteTokenizer(prefix_ids=(256,))

    assert tokenizer.decode([256, *"é".encode()[:1]]) == "\ufffd"
    assert tokenizer.encode("\ud800") == [ord("?")]
    assert tokenizer.prefix_ids == (256,)
