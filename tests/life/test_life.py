"""Whatever happens to a folder, its inputs and its settings, readers see the table of a dict.

This is the short form; `make life` tries more and longer histories.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.life.machine import Life

TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
