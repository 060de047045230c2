"""Nothing of a hostile model folder runs, and what is wrong with a folder is said."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import ModelError
from personalm.generation.guards import check_folder
from personalm.generation.loading import load_model
from personalm.generation.models import inspect_model
from personalm.generation.torch_engine import TorchEngine
from tests.hostile import Hostile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.generation.conftest import MakePrompt


def edit(path: Path, change: dict[str, Any]) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt"])
def test_pickled_weights_are_refused_with_a_remedy(folder: Path, canary: Path, name: str) -> None:
    """The file is never opened."""
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Hostile(canary)))

    with pytest.raises(ModelError, match=f"{name} only") as caught:
        inspect_model(str(folder))

    assert "save_pretrained" in str(caught.value)
    assert not canary.exists()


def test_pickles_beside_safetensors_are_ignored(folder: Path, canary: Path) -> None:
    """A folder may carry both formats."""
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Hostile(canary)))

    load_model(str(folder), dtype="float32", device="cpu", threads=1)

    assert not canary.exists()


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("config.json", {"text_config": {"deep": [{"auto_map": {"AutoModel": "a--b.C"}}]}}),
        ("config.json", {"decoder": {"trust_remote_code": True}}),
        ("config.json", {"trust_remote_code": True}),
        ("config.json", {"text_config": {"model_type": "unheard-of"}}),
        ("config.json", {"attn_implementation": "someone/kernel"}),
        ("config.json", {"model_type": "unheard-of"}),
        ("config.json", {"model_type": ["gpt2"]}),
        ("config.json", {"quantization_config": {"quant_method": "gptq"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}),
        ("generation_config.json", {"x": [[{"trust_remote_code": False}]]}),
    ],
)
def test_settings_that_ask_for_code_are_refused(
    folder: Path, file: str, change: dict[str, Any]
) -> None:
    """At any depth of any JSON file of the model."""
    edit(folder / file, change)

    with pytest.raises(ModelError, match=file.partition("_")[0]):
        load_model(str(folder), dtype="float32", device="cpu", threads=1)


@pytest.mark.parametrize(
    "change",
    [
        {"add_cross_attention": True},
        {"is_encoder_decoder": True},
        {"use_bidirectional_attention": True},
        {"is_causal": False},
    ],
)
def test_a_model_that_reads_backwards_is_no_writer(folder: Path, change: dict[str, Any]) -> None:
    """What comes after a token may not decide what is made of it."""
    edit(folder / "config.json", change)
    with pytest.raises(ModelError, match=f"(?s){next(iter(change))} is .* causal decoder"):
        inspect_model(str(folder))

    edit(folder / "config.json", {name: not value for name, value in change.items()})
    assert inspect_model(str(folder)).max_positions == 256


@pytest.mark.parametrize("name", ["modeling_gpt2.py", "sub/evil.py"])
def test_program_code_in_the_folder_is_refused(folder: Path, canary: Path, name: str) -> None:
    """Wherever it lies."""
    (folder / "sub").mkdir()
    (folder / name).write_text(f"open({str(canary)!r}, 'w')")

    with pytest.raises(ModelError, match="program code"):
        check_folder(folder)

    assert not canary.exists()


def test_a_word_of_the_vocabulary_is_no_setting(folder: Path) -> None:
    """A tokenizer may know the word auto_map."""
    (folder / "added_tokens.json").write_text('{"auto_map": 3}')

    assert check_folder(folder)["model_type"] == "gpt2"


def test_an_adapter_would_name_another_model_to_load(folder: Path) -> None:
    """It is refused beside a model; a folder of its own is read by other rules."""
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/model"}')
    with pytest.raises(ModelError, match="adapter beside the model"):
        check_folder(folder)

    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        check_folder(folder)


def test_a_chat_template_is_never_rendered(
    folder: Path, canary: Path, make_prompt: MakePrompt
) -> None:
    """A hostile one does no harm: the texts are those of the model without it."""
    attack = "{{ cycler.__init__.__globals__.os.system('touch " + str(canary) + "') }}"
    plain = load_model(str(folder), dtype="float32", device="cpu", threads=1)
    prompt = make_prompt(model=plain)
    expected = list(TorchEngine(plain, max_batch_tokens=999).generate([prompt]))
    (folder / "chat_template.jinja").write_text(attack)
    edit(folder / "tokenizer_config.json", {"chat_template": attack})
    model = load_model(str(folder), dtype="float32", device="cpu", threads=1)

    assert make_prompt(model=model) == prompt
    assert list(TorchEngine(model, max_batch_tokens=999).generate([prompt])) == expected
    assert not canary.exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "config.json is missing"),
        ("tokenizer.json", "tokenizer.json is missing"),
        ("model.safetensors", "model.safetensors is missing"),
    ],
)
def test_a_missing_file_is_named(folder: Path, missing: str, message: str) -> None:
    """With the folder it is missing from."""
    (folder / missing).unlink()

    with pytest.raises(ModelError, match=message):
        inspect_model(str(folder))


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000, "\ud800"])
def test_damaged_json_is_an_error_that_names_the_file(folder: Path, content: str) -> None:
    """Whatever it holds."""
    (folder / "config.json").write_bytes(content.encode("utf-8", "surrogatepass"))

    with pytest.raises(ModelError, match=r"config\.json"):
        check_folder(folder)
