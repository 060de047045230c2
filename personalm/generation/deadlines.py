"""Deadlines: a model that has learned from somebody who is to be forgotten is not used for ever.

Forgetting takes rows away; weights keep what they have learned until they are trained anew. A mark
in the model's folder says until when it may be used.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from personalm.errors import ModelError
from personalm.foreign import read_object

if TYPE_CHECKING:
    from pathlib import Path

MARK = "retrain_needed.json"

_log = logging.getLogger(__name__)


def read_deadline(folder: Path) -> date | None:
    """Return the last day of a marked model, `None` without a mark. Raises ModelError."""
    path = folder / MARK
    if not path.is_file():
        return None
    try:
        return date.fromisoformat(str(read_object(path).get("last_day")))
    except ValueError:
        raise ModelError(f"{path} names no last day") from None


def check_deadline(folder: Path) -> None:
    """Warn of a mark, and raise ModelError once its day is over or where it cannot be read."""
    last_day = read_deadline(folder)
    if last_day is None:
        return
    if datetime.now(UTC).date() > last_day:
        raise ModelError(
            f"{folder} has learned from users who are forgotten, and was to be trained again "
            f"by {last_day}",
            remedy="Train it anew without them: personalm finetune.",
        )
    _log.warning(
        "%s has learned from users who are forgotten: train it again by %s", folder, last_day
    )
