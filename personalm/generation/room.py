"""How many positions a group may keep, where the settings do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from personalm.generation.prefill import Heads, read_prompts

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel

_LEAST = 256
_MOST = 262_144
_ON_A_PROCESSOR = 16_384
# Of a GPU's memory, for the keys and values of one group before shapes are rounded up; as much
# again is taken while they are put there, and some by logits.
_SHARE_OF_MEMORY = 0.15


def room_of(model: LoadedModel) -> int:
    """Return the positions whose keys and values may be kept at a time on a model's device.

    It follows the card, not what happens to be free there, so that batches made again are equal.
    """
    if model.device.type != "cuda" or not model.reads_batches:
        return _ON_A_PROCESSOR
    return room_in(torch.cuda.get_device_properties(model.device).total_memory, model)


def room_in(num_bytes: int, model: LoadedModel) -> int:
    """Return the positions that suit a GPU with so much memory."""
    share = int(_SHARE_OF_MEMORY * num_bytes)
    return max(_LEAST, min(_MOST, share // count_bytes(model)))


@torch.inference_mode()
def count_bytes(model: LoadedModel) -> int:
    """Return what the keys and values of one position take, in all layers."""
    past = read_prompts(model, [(0,)], [0], Heads()).past
    return sum(part.numel() * part.element_size() for layer in past for part in layer)
