"""A row ends where it should, and its text is cut where it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from personalm.generation.stopping import Row, cut_at_stop
from personalm.records import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.generation.loading import LoadedModel
    from personalm.generation.tokenizer import TextTokenizer


def grow(model: LoadedModel, text: str, *, limit: int = 99, stop: tuple[str, ...] = ()) -> Row:
    """Feed the tokens of a text and an end token to a row until it is finished."""
    row = Row(
        tokenizer=model.tokenizer,
        sampling=Sampling(max_new_tokens=limit, stop=stop),
        end_ids=model.eos_ids,
    )
    for token_id in [*model.tokenizer.encode(text), *model.eos_ids]:
        if not row.is_finished:
            row.add(token_id)
    return row


@pytest.mark.parametrize("stop", ["\n", "\n\n", "User:", " then ", "né", "🙂", "d. T"])
def test_a_stop_string_ends_the_row_at_once_whatever_tokens_it_falls_into(
    gpt2: LoadedModel, stop: str
) -> None:
    """The stop string and what follows it are no part of the text, and are not waited for."""
    row = grow(
        gpt2, f"A first line, a bit longer{stop}and more that nobody asked for", stop=(stop,)
    )

    assert row.sample.text == "A first line, a bit longer"
    assert row.sample.finish == "stop"
    assert "nobody" not in gpt2.tokenizer.decode(row.token_ids)


@pytest.mark.parametrize("stop", [" ", "e ", ". ", "User: ", "\n "])
def test_a_stop_string_may_end_in_a_space(gpt2: LoadedModel, stop: str) -> None:
    """Some tokenizers tell a token that begins with a space without it."""
    row = grow(gpt2, f"Line{stop}and more that nobody asked for", stop=(stop,))
    blind = Row(
        tokenizer=cast("TextTokenizer", Blind(gpt2.tokenizer)),
        sampling=row.sampling,
        end_ids=gpt2.eos_ids,
    )
    for token_id in row.token_ids:
        assert not blind.is_finished
        blind.add(token_id)

    assert (blind.finish, blind.sample.text) == ("stop", "Line")


class Blind:
    """A tokenizer that sees no space before a token alone."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer

    def piece(self, token_id: int) -> str:
        """Return the text of one id, without the space before it."""
        return self._tokenizer.piece(token_id).removeprefix(" ")

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids."""
        return self._tokenizer.decode(token_ids)


def test_the_first_of_several_stop_strings_counts() -> None:
    """The earliest place wins, not the first in the list."""
    assert cut_at_stop("one two three", ("three", "two")) == "one "
    assert cut_at_stop("one two three", ("four", "")) == "one two three"


def test_an_end_token_ends_the_row_and_is_no_text(gpt2: LoadedModel) -> None:
    """The end token is neither decoded nor counted."""
    row = grow(gpt2, "All of it.")

    assert row.sample.text == "All of it."
    assert row.sample.finish == "end"
    assert row.sample.num_tokens == len(gpt2.tokenizer.encode("All of it."))


def test_a_row_at_its_limit_is_out_of_room(gpt2: LoadedModel) -> None:
    """Exactly as many tokens as allowed are taken."""
    row = grow(gpt2, "A text that goes on and on and on", limit=4)

    assert row.sample.finish == "length"
    assert row.sample.num_tokens == len(row.token_ids) == 4


def test_half_a_character_at_the_limit_is_left_out(gpt2: LoadedModel) -> None:
    """A limit inside a character of several bytes leaves no replacement character behind."""
    row = grow(gpt2, "ok 🙂", limit=len(gpt2.tokenizer.encode("ok 🙂")) - 1)

    assert row.sample.text in {"ok ", "ok"}
    assert row.sample.finish == "length"
