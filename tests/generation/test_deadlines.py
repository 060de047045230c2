"""Laws of deadlines: a model that holds somebody forgotten serves until its day, and not after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from personalm.errors import ModelError
from personalm.generation.deadlines import MARK
from personalm.generation.models import inspect_model

if TYPE_CHECKING:
    from pathlib import Path


def mark(folder: Path, days: int) -> None:
    """Mark a model: its last day is so many days from now."""
    day = (datetime.now(UTC) + timedelta(days=days)).date()
    (folder / MARK).write_text(f'{{"last_day": "{day}"}}')


def test_a_marked_model_serves_until_its_last_day(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so each time."""
    plain = inspect_model(str(folder))
    assert not caplog.records
    mark(folder, 0)

    assert inspect_model(str(folder)) == plain
    assert "train it again" in caplog.text


def test_a_marked_model_is_refused_afterwards(folder: Path) -> None:
    """With the remedy."""
    mark(folder, -1)

    with pytest.raises(ModelError, match="personalm finetune"):
        inspect_model(str(folder))


def test_a_mark_that_cannot_be_read_is_no_permission(folder: Path) -> None:
    """Whoever damages it does not make the model usable."""
    for text in ("{}", "[]", "x", '{"last_day": "soon"}'):
        (folder / MARK).write_text(text)
        with pytest.raises(ModelError):
            inspect_model(str(folder))
