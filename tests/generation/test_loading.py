"""A model is loaded whole, quietly, and in the numbers its device is good at."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from personalm import bundled
from personalm.errors import ModelError
from personalm.generation.loading import load_model
from personalm.generation.torch_engine import TorchEngine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Training
    from tests.generation.conftest import MakePrompt


@pytest.fixture
def folder(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """Copy the tiny GPT-2."""
    return shutil.copytree(tiny_gpt2, tmp_path / "model")


def test_the_tiny_model_has_learned(tiny_gpt2_training: Training) -> None:
    """It is no random one: its loss has fallen by a third and more."""
    assert tiny_gpt2_training.last_loss < 0.7 * tiny_gpt2_training.first_loss


def test_weights_that_nobody_asks_for_are_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A configuration of fewer layers than the weights have is another model."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_layer": 1}))

    load_model(str(folder), dtype="float32", device="cpu", threads=1)

    assert "weights that its config.json knows nothing of, such as transformer.h.1" in caplog.text


def test_nothing_is_written_to_the_terminal(
    tiny_gpt2: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither bars nor warnings."""
    load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)

    assert capfd.readouterr() == ("", "")


def test_a_half_precision_checkpoint_is_loaded_in_numbers_a_cpu_can_use(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """float16 weights become float32 or bfloat16, and it is said once which of them."""
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)

    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    assert load_model(str(folder), device="cpu", threads=1).dtype in {
        torch.float32,
        torch.bfloat16,
    }
    with caplog.at_level("INFO", logger="personalm"):
        loaded = load_model(str(folder), dtype="float32", device="cpu", threads=1)
    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.float32}
    assert caplog.text.count("loaded as float32 on cpu") == 1


def test_a_tokenizer_larger_than_the_embeddings_is_refused_with_both_numbers(folder: Path) -> None:
    """Its last tokens would be read out of bounds."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    num_embeddings = len(tokenizer)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)

    with pytest.raises(ModelError, match=f"{num_embeddings + 1} tokens.* {num_embeddings}"):
        load_model(str(folder), dtype="float32", device="cpu", threads=1)


def test_more_embeddings_than_tokens_do_no_harm(folder: Path) -> None:
    """Many models fill their matrix up to a round number; what is drawn of it is no text."""
    network = AutoModelForCausalLM.from_pretrained(folder)
    num_tokens = network.config.vocab_size
    network.resize_token_embeddings(num_tokens + 64)
    network.save_pretrained(folder)
    loaded = load_model(str(folder), dtype="float32", device="cpu", threads=1)

    assert (loaded.tokenizer.num_ids, loaded.num_embeddings) == (num_tokens, num_tokens + 64)
    assert (
        loaded.tokenizer.decode([num_tokens, *loaded.tokenizer.encode("hi"), num_tokens + 63])
        == "hi"
    )
    assert loaded.tokenizer.piece(num_tokens) == ""


def test_missing_weights_are_not_made_up(folder: Path) -> None:
    """A library that fills them with random numbers and goes on is not followed."""
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(ModelError, match="1 weights of the model are missing"):
        load_model(str(folder), dtype="float32", device="cpu", threads=1)


def test_a_damaged_file_is_an_error_that_names_the_folder(folder: Path) -> None:
    """A download that broke off."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(folder), dtype="float32", device="cpu", threads=1)


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_an_error(tiny_gpt2: Path, device: str) -> None:
    """It is named."""
    with pytest.raises(ModelError, match=device):
        load_model(str(tiny_gpt2), device=device, threads=1)


def test_the_end_tokens_are_those_the_model_names_and_the_special_ones(folder: Path) -> None:
    """One or several, in either file."""
    path = folder / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [5, 6]}))
    end = AutoTokenizer.from_pretrained(folder).eos_token_id
    loaded = load_model(str(folder), dtype="float32", device="cpu", threads=1)

    assert loaded.eos_ids == {5, 6, end}


@pytest.mark.slow
@pytest.mark.skipif(
    not bundled.is_prepared("bundled:smollm2-135m"), reason="bundled:smollm2-135m is not prepared"
)
def test_the_bundled_model_draws_the_same_alone_and_in_a_batch(make_prompt: MakePrompt) -> None:
    """In float32, token for token, and its plain greedy text is that of transformers."""
    model = load_model("bundled:smollm2-135m", dtype="float32", device="cpu", threads=1)
    engine = TorchEngine(model, max_batch_tokens=9999)
    texts = ("Once upon a time", "Notes on rivers.\n- A river starts as a spring.\n- ", "")
    prompts = [make_prompt(text, user=text, model=model) for text in texts]
    draws = list(engine.generate(prompts))

    assert draws == [next(engine.generate([prompt])) for prompt in prompts]
    greedy = make_prompt("The capital of France is", model=model, temperature=0.0)
    assert "Paris" in next(engine.generate([greedy])).samples[0].text
