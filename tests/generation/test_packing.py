"""A model is packed where that is of use, and in integers only where it costs little."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from personalm.errors import ModelError
from personalm.generation import packing
from personalm.generation.linears import Int8Linear, PackedLinear, can_pack
from personalm.generation.loading import LoadedModel, load_model
from personalm.generation.packing import mean_loss, pack_model

if TYPE_CHECKING:
    from pathlib import Path

needs_packing = pytest.mark.skipif(
    not can_pack("floating", torch.bfloat16), reason="this torch multiplies no packed layers"
)
needs_integers = pytest.mark.skipif(
    not can_pack("int8", torch.bfloat16), reason="this torch multiplies no 8-bit integers"
)


@pytest.fixture(params=["tiny_gpt2", "tiny_llama"])
def halved(request: pytest.FixtureRequest) -> LoadedModel:
    """Load each of the tiny models in bfloat16."""
    folder: Path = request.getfixturevalue(request.param)
    return load_model(str(folder), dtype="bfloat16", device="cpu", threads=1)


def kinds_of_layers(model: LoadedModel) -> set[type]:
    """Return the classes of linear layers that the network has."""
    known = (nn.Linear, Conv1D, PackedLinear, Int8Linear)
    return {type(m) for m in model.network.modules() if isinstance(m, known)}


@needs_packing
def test_a_bfloat16_model_is_packed_and_finds_texts_as_likely(halved: LoadedModel) -> None:
    """Packing alone changes nothing but rounding."""
    before = mean_loss(halved)
    pack_model(halved)

    assert kinds_of_layers(halved) == {PackedLinear}
    assert mean_loss(halved) == pytest.approx(before, abs=0.01)


@pytest.mark.skipif(
    not can_pack("floating", torch.float32), reason="this torch multiplies no packed layers"
)
@pytest.mark.parametrize("name", ["tiny_gpt2", "tiny_llama"])
def test_a_packed_float32_model_says_the_same(name: str, request: pytest.FixtureRequest) -> None:
    """Each logit, but for the last digits."""
    model = load_model(str(request.getfixturevalue(name)), dtype="float32", device="cpu", threads=1)
    ids = torch.tensor([model.tokenizer.encode("The ferry was late, and we had coffee.")])
    with torch.inference_mode():
        before = model.network(input_ids=ids, use_cache=False).logits
        pack_model(model)
        after = model.network(input_ids=ids, use_cache=False).logits

    assert kinds_of_layers(model) == {PackedLinear}
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-5)


@needs_packing
@needs_integers
def test_integers_are_used_where_they_cost_little_and_the_figure_is_told(
    halved: LoadedModel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny model of noisy numbers gets a wider limit than a real one."""
    monkeypatch.setattr(packing, "MAX_LOSS", 0.5)
    caplog.set_level(logging.INFO)
    before = mean_loss(halved)
    pack_model(halved, int8=True)

    assert kinds_of_layers(halved) == {Int8Linear}
    assert mean_loss(halved) == pytest.approx(before, abs=0.2)
    assert re.search(r"perplexity changes by [+-]\d+\.\d\d %", caplog.text)


@needs_packing
@needs_integers
def test_integers_that_cost_too_much_are_taken_back(
    halved: LoadedModel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model writes in bfloat16 then, and a warning says so."""
    real = packing.mean_loss
    monkeypatch.setattr(
        packing,
        "mean_loss",
        lambda model: real(model) + (0.02 if Int8Linear in kinds_of_layers(model) else 0.0) * 5,
    )
    pack_model(halved, int8=True)

    assert kinds_of_layers(halved) == {PackedLinear}
    assert "bfloat16 it is" in caplog.text


def test_integers_that_cannot_be_had_are_an_error(gpt2: LoadedModel) -> None:
    """A setting is never left out without a word."""
    with pytest.raises(ModelError, match="8-bit integers"):
        pack_model(gpt2, int8=True)
    assert gpt2.dtype == torch.float32
