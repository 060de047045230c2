"""Refusals: what is left of a training that may not go on."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from personalm.errors import (
    InputError,
    ModelError,
    SettingsError,
    StoreError,
    TemplateError,
    TrainingError,
)
from personalm.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.training.workplace import Workplace


@contextmanager
def nothing_left_in_vain(place: Workplace) -> Iterator[None]:
    """Remove the workplace where a refusal comes before a checkpoint that could be gone on from.

    What the machine is to blame for is no refusal: the same command goes on there.
    """
    try:
        yield
    except (InputError, ModelError, SettingsError, TemplateError, TrainingError):
        if not Checkpoints(place.checkpoints, place.files).has_any():
            # The refusal is what has to be told.
            with suppress(StoreError):
                place.clear()
        raise
