"""Silence of the libraries that train: what they would tell the user is told in our own words."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from transformers.utils import logging as noise

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep transformers, peft and torch from writing to the user's terminal."""
    verbosity, shows_bars = noise.get_verbosity(), noise.is_progress_bar_enabled()
    noise.set_verbosity(logging.ERROR)
    noise.disable_progress_bar()  # type: ignore[no-untyped-call]  # it has no annotations
    try:
        with warnings.catch_warnings():
            for category in (UserWarning, FutureWarning, DeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        noise.set_verbosity(verbosity)
        if shows_bars:
            noise.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same
