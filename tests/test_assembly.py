"""Laws of the rooms as they are wired for one set of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from personalm.api import open_assembly
from personalm.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("named", "language"), [("nl", "nl"), ("nl-BE", "nl"), ("dut", "nl"), ("Dutch", "nl")]
)
def test_who_tells_no_language_writes_that_of_the_settings(
    named: str, language: str, tmp_path: Path
) -> None:
    """However it is named there: gates and stemmers know two letters."""
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    given: dict[str, Any] = {
        "model": "scripted",
        "output": tmp_path / "out",
        "selection.embedder": "scripted",
        "inputs.language": named,
    }

    assert open_assembly(load_settings(empty, **given)).detect_language(()) == language
