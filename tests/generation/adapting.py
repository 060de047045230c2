"""Adapters for tests, as peft saves them, over models that are tiny."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from personalm.generation.adapters import CONFIG, PROVENANCE
from personalm.generation.loading import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.generation.loading import LoadedModel


def make_adapter(base: Path, folder: Path) -> Path:
    """Write an adapter over all linear layers of a base."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - heavy

    network: Any = load(base).network
    network.set_attn_implementation("sdpa")
    is_gpt2 = network.config.model_type == "gpt2"
    torch.manual_seed(0)
    tuned = get_peft_model(
        network,
        LoraConfig(
            r=4,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            init_lora_weights=False,
            fan_in_fan_out=is_gpt2,
        ),
    )
    tuned.save_pretrained(str(folder))
    change(folder, base_model_name_or_path=str(base))
    return folder


def note_learned(folder: Path, *kinds: str) -> None:
    """Note, as training does, the kinds whose templates an adapter has learned with."""
    (folder / PROVENANCE).write_text(json.dumps({"templates": dict.fromkeys(kinds, "0" * 64)}))


def load(folder: Path) -> LoadedModel:
    """Load a model in float32."""
    return load_model(str(folder), dtype="float32", device="cpu", threads=1)


def change(folder: Path, **values: object) -> None:
    """Change the configuration of an adapter."""
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))
