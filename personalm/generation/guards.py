"""What a model folder must be before anything of it is loaded.

Weights come as safetensors only: other formats are pickles, and reading a pickle runs code. No
setting may ask for code from the folder or the hub. Only JSON is read here, never a weight.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from personalm.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL_TYPES = frozenset(
    {
        "gemma",
        "gpt2",
        "gpt_neox",
        "granite",
        "llama",
        "mistral",
        "olmo2",
        "phi",
        "phi3",
        "qwen2",
        "qwen3",
        "smollm3",
        "stablelm",
    }
)
"""Architectures whose batches are tested to equal single prompts."""

TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))
"""Any one of these sets makes a tokenizer."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_CODE_KEYS = frozenset({"auto_map", "trust_remote_code"})
_KERNEL_KEYS = frozenset({"attn_implementation", "_attn_implementation", "experts_implementation"})
# Keys of these files are words of the vocabulary.
_WORD_LISTS = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})


def check_folder(folder: Path) -> dict[str, Any]:
    """Return the model's configuration. Raises ModelError for what is missing or unsafe."""
    if not (folder / "config.json").is_file():
        _refuse_without_config(folder)
    for path in sorted(folder.glob("*.json")):
        if path.name not in _WORD_LISTS and not path.name.endswith(".index.json"):
            _check_keys(path, read_json(path))
    code = next(folder.rglob("*.py"), None)
    if code is not None:
        raise ModelError(
            f"{folder} holds program code ({code.relative_to(folder)})",
            remedy="Code of a model is never run: use a model of a standard architecture, "
            "and keep only its own files in its folder.",
        )
    config = read_json(folder / "config.json")
    _check_config(folder, config)
    _check_weights(folder)
    _check_tokenizer(folder)
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ModelError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    return value


def _refuse_without_config(folder: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} is an adapter without its model",
            remedy="Merge it into its base model and name the merged folder.",
        )
    raise ModelError(
        f"{folder} is no model folder: config.json is missing",
        remedy="Name a folder that save_pretrained has written.",
    )


def _check_keys(path: Path, config: dict[str, Any]) -> None:
    for key, value in _walk(config):
        asks_for_kernel = key in _KERNEL_KEYS and "/" in str(value)
        if key in _CODE_KEYS or asks_for_kernel:
            raise ModelError(
                f"{path} asks for program code ({key})",
                remedy="Code of a model is never run: use a model of a standard architecture.",
            )
        if key == "model_type" and path.name == "config.json" and str(value) not in MODEL_TYPES:
            raise ModelError(
                f"{path}: model type {str(value)[:40]!r} is not supported",
                remedy=f"Supported are: {', '.join(sorted(MODEL_TYPES))}.",
            )


def _walk(value: object) -> Iterator[tuple[str, object]]:
    """Yield every key with its value, at any depth."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _check_config(folder: Path, config: dict[str, Any]) -> None:
    if "model_type" not in config:
        raise ModelError(f"{folder / 'config.json'} names no model_type")
    if "quantization_config" in config:
        raise ModelError(
            f"{folder / 'config.json'}: the model is quantised",
            remedy="Name the model as it was before that.",
        )
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds an adapter beside the model, which would name another model to load",
            remedy="Merge the adapter into the model, or remove adapter_config.json.",
        )


def _check_weights(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{folder} has its weights in {pickles[0]} only, a format that can run code",
            remedy="Convert it where you trust its maker, with transformers: "
            "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW).",
        )
    raise ModelError(f"{folder} has no weights: model.safetensors is missing")


def _check_tokenizer(folder: Path) -> None:
    missing = [
        [name for name in names if not (folder / name).is_file()] for names in TOKENIZER_FILES
    ]
    if all(missing):
        raise ModelError(
            f"{folder} has no tokenizer: {missing[0][0]} is missing",
            remedy="Save it beside the model: tokenizer.save_pretrained(FOLDER).",
        )
