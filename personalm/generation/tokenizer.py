"""Text to token ids and back, so that users' texts stay texts.

A special token that somebody typed is split into ordinary tokens; special ids come from us alone.
Nothing is added to a text and nothing is tidied up in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenizers import AddedToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

_DOCUMENT_START = "<|endoftext|>"
_MARKER = re.compile(r"[\s▁]*[<\[].+[>\]]\s*", re.DOTALL)


class TextTokenizer:
    """Wraps the tokenizer of a model.

    `prefix_ids` start every prompt, as the documents started that the model has learned from.
    `special_ids` mean something to the model other than their letters.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[int, str] = {}
        _mark_specials(tokenizer)
        added = tokenizer.added_tokens_decoder
        self.special_ids = frozenset(id_ for id_, token in added.items() if token.special)
        self.num_ids = max(tokenizer.get_vocab().values(), default=-1) + 1
        self.prefix_ids = self._find_prefix()

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; none of them is special."""
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        return list(encoded["input_ids"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids, without special tokens; a character cut in half is U+FFFD."""
        text = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    def piece(self, token_id: int) -> str:
        """Return the text of one id alone."""
        if token_id not in self._pieces:
            self._pieces[token_id] = self.decode([token_id])
        return self._pieces[token_id]

    def _find_prefix(self) -> tuple[int, ...]:
        """Return what the tokenizer itself puts first, else the token between documents.

        Chat models often name their turn marker as first token; plain text never followed it in
        training, but it did follow the end of another document.
        """
        own = list(self._tokenizer("", add_special_tokens=True)["input_ids"])
        first = self._tokenizer.bos_token_id
        if first is not None and own[:1] == [first]:
            return (first,)
        between = self._tokenizer.get_vocab().get(_DOCUMENT_START)
        for token_id in (between, first, self._tokenizer.eos_token_id):
            if token_id is not None:
                return (token_id,)
        return ()


def _mark_specials(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let markers be special that nobody calls so: `<tool_call>` typed by a user is letters.

    Runs of spaces, and words that somebody has added, stay tokens as others.
    """
    markers = [
        AddedToken(token.content, special=True, normalized=False)
        for token in tokenizer.added_tokens_decoder.values()
        if not token.special and _MARKER.fullmatch(token.content)
    ]
    if markers:
        tokenizer.add_tokens(markers, special_tokens=True)
