"""Memory that runs out, be it the machine's or the device's."""

from __future__ import annotations

import torch


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out."""
    # torch has no class of its own for a CPU that runs out of memory.
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
