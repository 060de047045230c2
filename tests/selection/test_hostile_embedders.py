"""An embedder's folder made by an enemy runs no code and reads no other file."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import ModelError
from personalm.selection.embedder import embedder_digest, find_folder
from tests.hostile import Hostile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULES = "sentence_transformers.models"


def write(path: Path, value: object) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder as sentence-transformers writes it; its weights are never read here."""
    folder = tmp_path / "embedder"
    types = ("Transformer", "Pooling", "Dense", "Normalize")
    rows = [
        {"idx": n, "name": str(n), "path": f"{n}_{t}" if n else "", "type": f"{MODULES}.{t}"}
        for n, t in enumerate(types)
    ]
    write(folder / "modules.json", rows)
    write(folder / "config.json", {"model_type": "bert"})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 256})
    write(folder / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
    write(
        folder / "2_Dense/config.json",
        {"activation_function": "torch.nn.modules.activation.Tanh"},
    )
    for place in ("", "2_Dense"):
        (folder / place / "model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Name a file that only hostile code would create."""
    return tmp_path / "canary"


def edit_modules(folder: Path, **change: object) -> None:
    """Change the second module."""
    rows = json.loads((folder / "modules.json").read_text())
    rows[1] |= change
    write(folder / "modules.json", rows)


def refuse(folder: Path, message: str) -> None:
    """Assert that a folder is refused before sentence-transformers sees it."""
    with pytest.raises(ModelError, match=message):
        find_folder(folder)
    with pytest.raises(ModelError, match=message):
        embedder_digest(folder)


def test_a_folder_as_it_is_saved_is_accepted(folder: Path) -> None:
    """The rules refuse nothing ordinary; other formats beside safetensors are left alone."""
    for place in ("", "2_Dense"):
        (folder / place / "pytorch_model.bin").write_bytes(b"")

    assert find_folder(folder) == folder


@pytest.mark.parametrize(
    "kind",
    [
        "evil.Module",
        "modeling_evil.Custom",
        "os.system",
        "sentence_transformers_evil.Pooling",
        "sentence_transformersx.models.Pooling",
        f"{MODULES}.WordEmbeddings",
        f"{MODULES}.BoW",
        f"{MODULES}.Router",
        f"{MODULES}.CLIPModel",
        "sentence_transformers.util.import_from_string",
        "",
        None,
        7,
    ],
)
def test_a_module_of_another_class_is_refused(folder: Path, kind: object) -> None:
    """Foreign classes, and those that import others by name or read pickles."""
    edit_modules(folder, type=kind)

    refuse(folder, "asks for the module")


@pytest.mark.parametrize("content", ["{}", '["x"]', "[[]]", "7", "{", "[" * 100_000])
def test_a_damaged_list_of_modules_is_refused(folder: Path, content: str) -> None:
    """It names no module that is known."""
    (folder / "modules.json").write_text(content)

    refuse(folder, r"modules\.json")


@pytest.mark.parametrize("path", ["..", "../other", "/etc", "1_Pooling/../.."])
def test_a_module_lies_in_the_folder(folder: Path, path: str) -> None:
    """Its files are read from nowhere else."""
    edit_modules(folder, path=path)

    refuse(folder, "outside of its own")


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.M"}}, "program code"),
        ("config.json", {"x": [{"trust_remote_code": True}]}, "program code"),
        ("config.json", {"transformers_weights": "adapter_model.bin"}, "other weights"),
        ("config.json", {"base_model_name_or_path": "someone/else"}, "other weights"),
        ("config.json", {"quantization_config": {"quant_method": "x"}}, "how the model is loaded"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": "evil.T"}}, "program code"),
        ("config_sentence_transformers.json", {"auto_map": {}}, "program code"),
        ("sentence_bert_config.json", {"model_args": {"use_safetensors": False}}, "is loaded"),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "/etc"}, "is loaded"),
        ("sentence_roberta_config.json", {"model_kwargs": {"subfolder": ".."}}, "is loaded"),
        ("sentence_bert_config.json", {"backend": "onnx"}, "is loaded"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "no activation"),
        ("2_Dense/config.json", {"activation_function": "torch.hub.load"}, "no activation"),
        ("2_Dense/config.json", {"activation_function": ["torch"]}, "no activation"),
    ],
)
def test_settings_that_lead_elsewhere_are_refused(
    folder: Path, file: str, change: dict[str, Any], message: str
) -> None:
    """In each of the files that the libraries read."""
    path = folder / file
    write(path, (json.loads(path.read_text()) if path.exists() else {}) | change)

    refuse(folder, message)


@pytest.mark.parametrize("place", ["", "2_Dense"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.PT", "weights.pickle", "tf_model.h5"])
def test_pickles_instead_of_safetensors_are_refused(
    folder: Path, canary: Path, place: str, name: str
) -> None:
    """Also in the folder of a module, and beside safetensors that no library looks for."""
    (folder / place / "model.safetensors").rename(folder / place / "decoy.safetensors")
    (folder / place / name).write_bytes(pickle.dumps(Hostile(canary)))

    refuse(folder, "is not safetensors")
    assert not canary.exists()


def _code(folder: Path) -> None:
    (folder / "1_Pooling" / "modeling.py").write_text("")


def _adapter(folder: Path) -> None:
    write(folder / "adapter_config.json", {"base_model_name_or_path": "someone/else"})


def _link(folder: Path) -> None:
    (folder / "2_Dense" / "model.safetensors").unlink()
    (folder / "2_Dense" / "model.safetensors").symlink_to("/etc/hostname")


def _index(folder: Path) -> None:
    write(folder / "model.safetensors.index.json", {"weight_map": {"x": "../x.safetensors"}})


@pytest.mark.parametrize("plant", [_code, _adapter, _link, _index], ids=lambda p: p.__name__[1:])
def test_the_rules_for_every_model_hold_here_too(
    folder: Path, plant: Callable[[Path], None]
) -> None:
    """No code, no adapter, no link and no shard that leads out."""
    plant(folder)

    refuse(folder, "program code|adapter|leads out|names a shard")


def test_a_refused_folder_loads_no_library(folder: Path) -> None:
    """What is hostile is found before anything that could read it is imported."""
    edit_modules(folder, type="evil.Module")
    code = (
        "import sys; from personalm.selection.embedder import find_folder\n"
        f"try:\n    find_folder({str(folder)!r})\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["ModelError", "[]"]
