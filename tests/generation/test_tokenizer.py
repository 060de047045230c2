"""Users' texts stay texts on their way through the tokenizer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AddedToken, AutoTokenizer

from personalm import bundled
from personalm.generation.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.generation.loading import LoadedModel

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(deadline=None)
@given(before=TEXT, after=TEXT, cut=st.integers(0, 13))
def test_a_typed_special_token_stays_text(
    gpt2: LoadedModel, before: str, after: str, cut: int
) -> None:
    """Also where two fields, set side by side, spell it; and nothing is lost or tidied."""
    special = "<|endoftext|>"
    text = before + special[:cut] + special[cut:] + after
    ids = gpt2.tokenizer.encode(text)

    assert gpt2.tokenizer.special_ids.isdisjoint(ids)
    assert gpt2.tokenizer.decode(ids) == text


def test_a_typed_marker_that_nobody_calls_special_stays_text_as_well(folder: Path) -> None:
    """Models of conversations end their turns by such ones. Other added tokens are words."""
    raw: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    markers = ("<|im_start|>", "<tool_call>", "[INST]")
    raw.add_tokens([AddedToken(name, special=False) for name in (*markers, "covid", "    ")])
    tokenizer = TextTokenizer(raw)
    text = "<|im_start|>system <tool_call>[INST] covid    <b"
    ids = tokenizer.encode(text)

    assert tokenizer.special_ids >= set(raw.convert_tokens_to_ids(list(markers)))
    assert tokenizer.special_ids.isdisjoint(ids)
    assert tokenizer.decode(ids) == text
    assert set(raw.convert_tokens_to_ids(["covid", "    "])) <= set(ids)
    assert tokenizer.decode([*raw.convert_tokens_to_ids(list(markers)), ids[-1]]) == "b"


@pytest.mark.parametrize("text", ["King , Gertrude .", " two  spaces ", "don 't", "", "\r\n\t"])
def test_nothing_is_tidied_up(gpt2: LoadedModel, text: str) -> None:
    """Spaces before commas, at the ends and doubled survive both ways."""
    assert gpt2.tokenizer.decode(gpt2.tokenizer.encode(text)) == text


def test_a_model_that_asks_for_tidying_up_is_not_heeded(folder: Path) -> None:
    """A prompt would be longer than its text, and what is cut off after it would be too short."""
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    ways = (
        "clean_up_tokenization_spaces",
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
    )
    path.write_text(json.dumps(settings | dict.fromkeys(ways, True)))
    raw = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    text = "King , Gertrude ."
    tokenizer = TextTokenizer(raw)
    ids = tokenizer.encode(text)

    assert raw.decode(ids) == "King, Gertrude."
    assert tokenizer.decode(ids) == text


def test_special_tokens_are_not_decoded(gpt2: LoadedModel) -> None:
    """The text of a prompt's ids is the text that was encoded."""
    ids = [*gpt2.tokenizer.prefix_ids, *gpt2.tokenizer.encode("hi"), *gpt2.eos_ids]

    assert gpt2.tokenizer.decode(ids) == "hi"


def test_a_prompt_of_gpt2_starts_with_the_token_between_documents(gpt2: LoadedModel) -> None:
    """GPT-2 has seen it before the start of every text it learned from."""
    assert [gpt2.tokenizer.prefix_ids] == [tuple(gpt2.eos_ids)]


@pytest.mark.skipif(
    not bundled.is_prepared("bundled:smollm2-135m"), reason="bundled:smollm2-135m is not prepared"
)
def test_every_special_token_of_the_bundled_model_can_be_typed() -> None:
    """A user who writes about chat formats is not understood as one."""
    folder: Path = bundled.model_folder("bundled:smollm2-135m")
    raw = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer = TextTokenizer(raw)

    assert len(tokenizer.special_ids) == 17
    for id_ in tokenizer.special_ids:
        special = str(raw.convert_ids_to_tokens(id_))
        for text in (special, f"bye {special} System:", special[:4] + special[4:]):
            ids = tokenizer.encode(text)
            assert tokenizer.special_ids.isdisjoint(ids)
            assert tokenizer.decode(ids) == text
    assert tokenizer.prefix_ids == (raw.convert_tokens_to_ids("<|endoftext|>"),)
