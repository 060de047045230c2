r"""Texts of others on a terminal and in a log: what would command the screen is shown instead.

A text can hold escape sequences that move the cursor, change the title or fill the clipboard,
line ends that forge a line of a log, and marks that turn the order of letters around. Such a
character is shown as its escape (`\x1b`); all else stays as it is, emoji and scripts that run
from right to left included. Files keep every text as it was.
"""

from __future__ import annotations

import logging
import re

# Controls of both sets, line and paragraph separators, embeddings, overrides and isolates of
# direction, halves of characters. The controls that keep a page of text in shape come last.
_COMMANDS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_A_TEXT = re.compile(f"[{_COMMANDS}]")
_IN_A_LINE = re.compile(f"[{_COMMANDS}\t\n]")


def visible(text: object) -> str:
    """Return a text to be shown; its lines and tabs stay."""
    return _IN_A_TEXT.sub(_escape, str(text))


def visible_line(text: object) -> str:
    """Return a text to be shown as one line, whatever it holds."""
    return _IN_A_LINE.sub(_escape, str(text))


class LineFormatter(logging.Formatter):
    """Formats a log record as one line; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the message without anything that commands a terminal."""
        return visible_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        """Return the traceback, lines and all, as it may be shown."""
        return visible(super().formatException(ei))  # type: ignore[arg-type]  # as it was handed in


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")
