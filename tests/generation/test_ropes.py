"""Rotary embeddings that follow the length of a text leave each text its own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from personalm.generation.drawing import StepwiseDrawing
from personalm.generation.likelihood import score
from personalm.generation.models import inspect_model
from personalm.generation.torch_engine import TorchEngine
from tests.generation.adapting import load
from tests.generation.test_torch_engine import greedy_by_transformers, run

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.generation.loading import LoadedModel
    from tests.generation.conftest import MakePrompt

FIRST_LENGTH = 64
LONG_ROPE = {
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [2.0, 3.0, 4.0, 5.0],
    "original_max_position_embeddings": FIRST_LENGTH,
}


def make_folder(model_type: str, rope: dict[str, Any], beside: Path, folder: Path) -> Path:
    """Save a small model of 256 positions with such a rotary embedding."""
    vocabulary = json.loads((beside / "config.json").read_text())["vocab_size"]
    config = AutoConfig.for_model(
        model_type,
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        original_max_position_embeddings=FIRST_LENGTH,
        rope_parameters={"rope_theta": 10_000.0, **rope},
        initializer_range=0.4,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    set_seed(5)
    network: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # no types
    network.save_pretrained(folder)
    for path in beside.glob("*token*"):
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("model_type", ["llama", "phi3"])
def test_a_long_rope_is_the_short_one_for_everybody(
    tiny_gpt2: Path, tmp_path: Path, make_prompt: MakePrompt, model_type: str
) -> None:
    """One long text of a batch would turn the others by other factors: there is room for none."""
    rope = {"rope_type": "longrope", **LONG_ROPE}
    model = load(make_folder(model_type, rope, tiny_gpt2, tmp_path / "model"))
    short = make_prompt("I went", model=model, temperature=0.0)
    filling = make_prompt("a b c d e f g h " * 3, user="u2", model=model, max_new_tokens=4)
    longer = make_prompt("a b c d e f g h " * 12, user="u3", model=model)

    draws = run(model, short, filling, longer)

    assert model.card.max_positions == FIRST_LENGTH
    assert draws[0] == run(model, short)[0]
    assert draws[0].samples[0].text == greedy_by_transformers(model, short)
    assert [draw.error is None for draw in draws] == [True, True, False]


def test_an_old_name_of_a_long_rope_is_one(tiny_gpt2: Path, tmp_path: Path) -> None:
    """In `rope_scaling`, and with the type that only one architecture reads so."""
    folder = make_folder("phi3", {"rope_type": "longrope", **LONG_ROPE}, tiny_gpt2, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    for name in ("su", "yarn"):
        scaling = {"type": name, **LONG_ROPE}
        (folder / "config.json").write_text(json.dumps({**config, "rope_scaling": scaling}))
        assert inspect_model(str(folder)).max_positions == FIRST_LENGTH
    (folder / "config.json").write_text(json.dumps({**config, "rope_scaling": None}))
    assert inspect_model(str(folder)).max_positions == 256


def test_a_rope_that_looks_at_its_positions_is_not_recorded(
    tiny_gpt2: Path, tmp_path: Path, make_prompt: MakePrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorded step may not wait for the device; step by step it is right."""
    dynamic = {"rope_type": "dynamic", "factor": 2.0}
    model = load(make_folder("llama", dynamic, tiny_gpt2, tmp_path / "dynamic"))
    prompt = make_prompt("I went", model=model, temperature=0.0)
    opened = watch(monkeypatch)

    draws = list(TorchEngine(model, captures=True).generate([prompt]))

    assert opened == [1]
    assert draws[0].samples[0].text == greedy_by_transformers(model, prompt)


def test_an_adapter_leaves_the_frequencies_of_the_rope_exact(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """Weights are rounded to bfloat16; a rounded frequency would be wrong by more, the longer."""
    from personalm.generation.loading import load_model  # noqa: PLC0415 - here alone
    from tests.generation.adapting import make_adapter  # noqa: PLC0415 - heavy

    adapter = make_adapter(tiny_llama, tmp_path / "adapter")
    plain, adapted = (
        load_model(str(folder), dtype="bfloat16", device="cpu", threads=1)
        for folder in (tiny_llama, adapter)
    )

    found = {name: buffer for name, buffer in adapted.network.named_buffers() if "freq" in name}
    assert found
    for name, buffer in plain.network.named_buffers():
        if "freq" in name:
            assert found[name].equal(buffer)
    assert {str(weight.dtype) for weight in adapted.network.parameters()} == {"torch.bfloat16"}


def test_a_window_of_attention_does_not_count_pads(tiny_gpt2: Path, tmp_path: Path) -> None:
    """Pairs that begin alike score together what each scores alone."""
    model = load(make_folder("mistral", {"rope_type": "default"}, tiny_gpt2, tmp_path / "model"))
    with_window = windowed(model, tiny_gpt2, tmp_path)
    head = tuple(range(20, 60))
    pairs = [(head + tuple(range(70, 70 + n)), (5, 6, 7)) for n in range(1, 30, 6)]

    together = [found.logprob for found in score(with_window, pairs)]

    alone = [score(with_window, [pair])[0].logprob for pair in pairs]
    assert together == pytest.approx(alone, abs=1e-3)
    assert together != pytest.approx([found.logprob for found in score(model, pairs)], abs=0.1)


def windowed(model: LoadedModel, beside: Path, place: Path) -> LoadedModel:
    """Return the same model with a window shorter than the texts."""
    folder = place / "windowed"
    model.network.save_pretrained(folder)
    for path in beside.glob("*token*"):
        shutil.copy(path, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "sliding_window": 24}))
    return load(folder)


def watch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many groups are drawn step by step."""
    opened = [0]
    begin = StepwiseDrawing.__init__

    def note(self: StepwiseDrawing, *given: Any) -> None:
        opened[0] += 1
        begin(self, *given)

    monkeypatch.setattr(StepwiseDrawing, "__init__", note)
    return opened
