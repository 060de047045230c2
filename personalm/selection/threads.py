"""The threads of numpy's linear algebra, which this room does without.

Products here are of a few rows. Threads that wait for the next one by spinning take the core that
the language model wants, and cost three times the work they share. The libraries know one number
for the whole process: the first that enters takes their threads, the last that leaves gives them
back, in whatever order threads of Python come and go.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Hold:
    def __init__(self) -> None:
        self._lock = Lock()
        self._num_holders = 0

    @cached_property
    def _controller(self) -> ThreadpoolController:
        # It looks through all libraries of the process: once is enough, numpy is among them.
        return ThreadpoolController()

    def take(self) -> None:
        with self._lock:
            if self._num_holders == 0:
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._num_holders += 1

    def give_back(self) -> None:
        with self._lock:
            self._num_holders -= 1
            if self._num_holders == 0:
                self._limit.restore_original_limits()


_HOLD = _Hold()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the BLAS libraries of this process to one thread, and give them back their own."""
    _HOLD.take()
    try:
        yield
    finally:
        _HOLD.give_back()
