"""The network that is trained: an adapter beside a frozen base, or all weights of a model.

The base is loaded by the loader of a run, with its checks. Number formats: all weights in float32
where they are trained, with bfloat16 arithmetic where the device has it; the frozen base of an
adapter in the format of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from personalm.errors import TrainingError
from personalm.generation.guards import MODEL_TYPES
from personalm.generation.loading import find_dtype, load_model
from personalm.training.duplicates import missing_package
from personalm.training.quiet import quiet_libraries

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel
    from personalm.records import ModelCard
    from personalm.settings import Generation, Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """A network to train, and the loaded model that it came from.

    `half` says that its arithmetic is bfloat16.
    """

    network: Any
    base: LoadedModel
    half: bool

    @property
    def num_trained(self) -> int:
        """Number of weights that are trained."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    @property
    def num_weights(self) -> int:
        """Number of all weights."""
        return sum(p.numel() for p in self.network.parameters())


def open_trainee(
    card: ModelCard, *, training: Training, generation: Generation, seed: int
) -> Trainee:
    """Load the base and make it ready; the seed decides the first weights of an adapter."""
    is_adapter = training.method == "lora"
    base = load_model(
        card,
        dtype=generation.network_dtype if is_adapter else "float32",
        device=generation.device,
        threads=generation.threads,
    )
    if not base.reads_batches:
        raise TrainingError(
            f"{card.name}: batches of its architecture are not tested, so it is not trained",
            remedy=f"Trained are: {', '.join(sorted(MODEL_TYPES))}.",
        )
    network: Any = base.network
    # What serves a run keeps prompts apart from texts; here they are read as one.
    network.set_attn_implementation("sdpa")
    _set_dropout(network, training.dropout)
    torch.manual_seed(seed)
    if is_adapter:
        network = _with_adapter(network, training)
    half = find_dtype(generation.network_dtype, base.device) == torch.bfloat16
    return Trainee(network=network, base=base, half=half)


def _set_dropout(network: nn.Module, dropout: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout


def _with_adapter(network: Any, training: Training) -> Any:  # noqa: ANN401 - peft has no types
    try:
        from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - of an extra
    except ImportError:
        raise missing_package("peft") from None
    config = LoraConfig(
        r=training.lora_rank,
        lora_alpha=training.lora_alpha,
        lora_dropout=training.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        fan_in_fan_out=network.config.model_type == "gpt2",  # its linear layers are transposed
    )
    with quiet_libraries():
        return get_peft_model(network, config)
