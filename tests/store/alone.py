"""Tests that fork do so in a process without torch, whose threads do not survive a fork."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[2]


def forks(test: Callable[[Path], None]) -> Callable[[Path], None]:
    """Mark a test that forks: it runs in a process of its own where torch is loaded here."""

    @functools.wraps(test)
    def run(output: Path) -> None:
        if "torch" not in sys.modules:
            test(output)
            return
        code = (
            "import pathlib, sys\n"
            f"from {test.__module__} import {test.__name__}\n"
            f"{test.__name__}(pathlib.Path(sys.argv[1]))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(output)],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run
