"""Adapters: small weights beside a base model, checked before a library reads them.

The folder may be hostile. An adapter is LoRA over listed modules and nothing else: no module of
its own, no setting that makes a library load something. Its base is a bundled model, a folder, or
a hub model that lies in the cache: a folder that somebody has sent causes no download. Only JSON
is read here, but for merging.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personalm.errors import ModelError
from personalm.foreign import PICKLES, check_files, read_object
from personalm.hashing import digest, digest_file

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PROVENANCE = "training.json"
"""Written by training: how a model was made, and the digest of the base of an adapter."""

_MAX_RANK = 1_024
# What a plain adapter may say; everything else has to be as good as unsaid.
_SAID: dict[str, type | tuple[type, ...]] = {
    "alora_invocation_tokens": type(None),
    "base_model_name_or_path": str,
    "bias": str,
    "fan_in_fan_out": bool,
    "inference_mode": bool,
    "init_lora_weights": bool,
    "lora_alpha": (int, float),
    "lora_dropout": (int, float),
    "megatron_core": str,  # a default, used with megatron_config alone
    "peft_type": str,
    "peft_version": str,
    "qalora_group_size": int,  # a default, used with use_qalora alone
    "r": int,
    "target_modules": list,
    "task_type": str,
    "use_rslora": bool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What is known of an adapter: the name of its base, and a digest of its own files.

    `base_digest` is the one that training has noted of the base, `learned_kinds` those whose
    templates it has learned with, where it has; an adapter made elsewhere says neither.
    """

    base: str
    digest: str
    base_digest: str | None
    learned_kinds: tuple[str, ...] | None


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds an adapter and no model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").exists()


def find_base(folder: Path) -> str | None:
    """Return the name of an adapter's base, unchecked; `None` where it names none."""
    try:
        return str(read_object(folder / CONFIG)["base_model_name_or_path"])
    except (ModelError, KeyError):
        return None


def read_adapter(folder: Path) -> Adapter:
    """Check the folder of an adapter and say what it is. Raises ModelError."""
    check_files(folder, is_adapter=True)
    config = read_object(folder / CONFIG)
    _check_config(folder / CONFIG, config)
    if not (folder / WEIGHTS).is_file():
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLES)
        raise ModelError(
            f"{folder} has its weights in {pickles[0]} only, a format that can run code"
            if pickles
            else f"{folder} has no weights: {WEIGHTS} is missing",
            remedy="Save the adapter as safetensors.",
        )
    noted: dict[str, Any] = {}
    if (folder / PROVENANCE).is_file():
        noted = read_object(folder / PROVENANCE)
    base_digest, templates = noted.get("base_digest"), noted.get("templates")
    return Adapter(
        base=str(config["base_model_name_or_path"]),
        digest=digest([digest_file(folder / CONFIG), digest_file(folder / WEIGHTS)]),
        base_digest=base_digest if isinstance(base_digest, str) else None,
        learned_kinds=tuple(sorted(templates))
        if templates and isinstance(templates, dict)
        else None,
    )


def merge_adapter(network: Any, folder: Path) -> Any:  # noqa: ANN401 - peft has no types
    """Return the network with an adapter, which was checked, added to its weights."""
    try:
        from peft import PeftModel  # noqa: PLC0415 - of an extra
    except ImportError:
        raise ModelError(
            f"{folder} is an adapter, and the package peft is not installed",
            remedy='Run: pip install "personalm[train]"',
        ) from None
    with warnings.catch_warnings():
        # Weights that are missing, or that no module asks for, are no more than a warning to peft.
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        adapted = PeftModel.from_pretrained(network, str(folder))
        _check_embeddings(adapted, folder)
        return adapted.merge_and_unload()


def _check_embeddings(adapted: Any, folder: Path) -> None:  # noqa: ANN401 - the same
    """Refuse an adapter of one of two layers that share a weight: merged, it would change both."""
    network = adapted.get_base_model()
    layers = network.get_input_embeddings(), network.get_output_embeddings()
    weights = [getattr(layer, "base_layer", layer).weight for layer in layers if layer is not None]
    if any(hasattr(layer, "base_layer") for layer in layers) and len(set(map(id, weights))) == 1:
        raise ModelError(
            f"{folder} changes embeddings that are the model's output layer, too",
            remedy="Train the adapter on the layers between them.",
        )


def _check_config(path: Path, config: dict[str, Any]) -> None:
    for key, value in config.items():
        if key in _SAID:
            if not isinstance(value, _SAID[key]):
                raise ModelError(f"{path}: {key} is no value of a plain LoRA adapter")
        elif value:
            raise ModelError(
                f"{path}: {key[:40]!r} is set, which a plain LoRA adapter does not need",
                remedy="Merge the adapter into its base model and name the merged folder.",
            )
    is_plain = (
        config.get("peft_type") == "LORA"
        and config.get("task_type") == "CAUSAL_LM"
        and config.get("bias", "none") == "none"
        and all(isinstance(name, str) for name in config.get("target_modules", [None]))
        and 1 <= config.get("r", 0) <= _MAX_RANK
        and "base_model_name_or_path" in config
    )
    if not is_plain:
        raise ModelError(
            f"{path} is no plain LoRA adapter of a language model",
            remedy="Merge the adapter into its base model and name the merged folder.",
        )
