"""What the folder of a language model must be before anything of it is loaded.

To the rules for every model (`personalm.foreign`) come those of this engine: architectures whose
batches are tested, a tokenizer, a configuration that fits the weights. Only JSON is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personalm.errors import ModelError
from personalm.foreign import PICKLES, check_files, has_safetensors, read_object, walk

if TYPE_CHECKING:
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

LONE_TYPES = frozenset(
    {
        "apertus",
        "arcee",
        "biogpt",
        "bloom",
        "codegen",
        "cohere",
        "cohere2",
        "falcon",
        "falcon_mamba",
        "gemma2",
        "gemma3_text",
        "glm",
        "glm4",
        "gpt_bigcode",
        "gpt_neo",
        "gpt_oss",
        "gptj",
        "granitemoe",
        "helium",
        "mamba",
        "mixtral",
        "mpt",
        "nemotron",
        "olmo",
        "olmo3",
        "olmoe",
        "openai-gpt",
        "opt",
        "persimmon",
        "phimoe",
        "qwen2_moe",
        "qwen3_moe",
        "seed_oss",
        "starcoder2",
        "xglm",
    }
)
"""Architectures that transformers' own `generate` writes with, a prompt at a time."""

TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))
"""Any one of these sets makes a tokenizer."""

# What these say of a model that writes a text word for word from its own beginning.
_CAUSAL = {
    "add_cross_attention": False,
    "is_causal": True,
    "is_encoder_decoder": False,
    "use_bidirectional_attention": False,
}
# Names that the architectures give to the sizes of their largest weights.
_WIDTHS = ("hidden_size", "n_embd", "d_model")
_LENGTHS = (
    "vocab_size",
    "n_positions",
    "num_hidden_layers",
    "n_layer",
    "num_attention_heads",
    "num_key_value_heads",
    "n_layers",
    "n_head",
    "n_heads",
    "head_dim",
    "intermediate_size",
    "n_inner",
)


def check_folder(folder: Path) -> dict[str, Any]:
    """Return the model's configuration. Raises ModelError for what is missing or unsafe."""
    if not (folder / "config.json").is_file():
        _refuse_without_config(folder)
    check_files(folder)
    config = read_object(folder / "config.json")
    _check_config(folder / "config.json", config)
    _check_weights(folder)
    _check_size(folder, config)
    _check_tokenizer(folder)
    return config


def _refuse_without_config(folder: Path) -> None:
    raise ModelError(
        f"{folder} is no model folder: config.json is missing",
        remedy="Name a folder that save_pretrained has written.",
    )


def _check_config(path: Path, config: dict[str, Any]) -> None:
    if not config.get("model_type"):
        raise ModelError(f"{path} names no model_type")
    for key, value in walk(config):
        # Some parts of a configuration leave theirs empty.
        if key == "model_type" and value and str(value) not in MODEL_TYPES | LONE_TYPES:
            raise ModelError(
                f"{path}: model type {str(value)[:40]!r} is not supported",
                remedy=f"Supported are: {', '.join(sorted(MODEL_TYPES))}; "
                f"slower, a prompt at a time: {', '.join(sorted(LONE_TYPES))}.",
            )
    for key, value in _CAUSAL.items():
        if bool(config.get(key, value)) is not value:
            raise ModelError(
                f"{path}: {key} is {config[key]}, so a token sees more than what stands before it",
                remedy="Name a model that only writes on: a causal decoder.",
            )
    if "quantization_config" in config:
        raise ModelError(
            f"{path}: the model is quantised",
            remedy="Name the model as it was before that.",
        )


def _check_size(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a configuration of a larger model than the files can hold: it would fill the memory.

    A weight takes a byte at the least.
    """
    num_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    width = max((_number(config, key) for key in _WIDTHS), default=0)
    for key in _LENGTHS:
        if width * _number(config, key) > num_bytes:
            raise ModelError(
                f"{folder / 'config.json'}: {key} is {_number(config, key)}, which is more than "
                f"its weights hold: they have {num_bytes} bytes",
                remedy="Copy the folder again: configuration and weights belong together.",
            )


def _number(config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    return abs(value) if isinstance(value, int) else 0


def _check_weights(folder: Path) -> None:
    if has_safetensors(folder):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLES)
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
