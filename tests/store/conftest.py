"""Output folders in memory where there is such a place: thousands of fsyncs take no time there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.world import new_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def output() -> Iterator[Path]:
    """Return an output folder that does not exist yet."""
    with new_output() as path:
        yield path
