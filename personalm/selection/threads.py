"""The threads of numpy's linear algebra, which this room does without.

Products here are of a few rows. Threads that wait for the next one by spinning take the core that
the language model wants, and cost three times the work they share.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the BLAS libraries of this process to one thread, and give them back their own."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # It looks through all libraries of the process: once is enough, numpy is among them.
    return ThreadpoolController()
