"""The breaker: tells a fault that meets everybody from rows that fail one by one.

An error of another library looks like a row's, even where the library is broken. Users who fail
one after the other, with nobody served in between, are no accident.
"""

from __future__ import annotations

from personalm.errors import EngineError

MAX_IN_A_ROW = 20
"""Different users whose rows may fail with nobody served between them."""


class Breaker:
    """Counts the users who failed since the last one who did not."""

    def __init__(self, limit: int = MAX_IN_A_ROW) -> None:
        self._limit = limit
        self._users: set[str] = set()

    def succeed(self) -> None:
        """Note that a row did not fail."""
        self._users.clear()

    def fail(self, user_id: str, message: str) -> None:
        """Note that a row failed, and why. Raises EngineError where too many did so in a row."""
        self._users.add(user_id)
        if len(self._users) > self._limit:
            raise EngineError(
                f"{len(self._users)} users failed in a row, the last one because {message}",
                remedy="What is published is as it was. Mend the cause, and run again.",
            )
