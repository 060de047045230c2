"""Progress of a training: a bar with tokens/s and the time left, or plain lines.

All of it goes to standard error. What is told are numbers and stages, no text and no id.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from personalm.visible import visible_line

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Self, TextIO

_SECONDS_BETWEEN_LINES = 5.0


class TrainingProgress:
    """Counts, and tells nobody."""

    def __init__(self) -> None:
        self.num_steps = 0
        self.num_done = 0
        self.num_tokens = 0
        self.loss: float | None = None
        self._first = 0
        self._began = time.monotonic()

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on a second, prompts counted, looks at the validation included."""
        seconds = time.monotonic() - self._began
        return self.num_tokens / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time that the steps left will take; None before the first one is done."""
        num_new = self.num_done - self._first
        if not num_new:
            return None
        return (time.monotonic() - self._began) / num_new * (self.num_steps - self.num_done)

    def note(self, line: str) -> None:
        """Say something worth knowing, once."""

    def begin_training(self, num_steps: int, *, done: int) -> None:
        """Start the clock; so many steps of an earlier run are done."""
        self.num_steps, self.num_done, self._first = num_steps, done, done
        self._began = time.monotonic()
        if done:
            self.note(f"going on after step {done} of {num_steps}")

    def finish_step(self, num_tokens: int) -> None:
        """Count a step of the optimizer."""
        self.num_done += 1
        self.num_tokens += num_tokens

    def look(self, loss: float) -> None:
        """Take the loss on the validation texts."""
        self.loss = loss

    def describe(self) -> str:
        """Say in words how far the training is."""
        parts = [f"step {self.num_done} of {self.num_steps}"]
        if self.num_tokens:
            parts.append(f"{self.tokens_per_second:.0f} tokens/s")
        if self.loss is not None:
            parts.append(f"validation loss {self.loss:.3f}")
        return ", ".join(parts)


class LineTrainingProgress(TrainingProgress):
    """Progress as plain lines, one every few seconds, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._last = 0.0

    def note(self, line: str) -> None:
        """Say the line."""
        self._stream.write(visible_line(line) + "\n")
        self._stream.flush()

    def begin_training(self, num_steps: int, *, done: int) -> None:
        """Say that training begins."""
        super().begin_training(num_steps, done=done)
        self.note(f"training: {num_steps - done} steps")

    def finish_step(self, num_tokens: int) -> None:
        """Say now and then how far the training is."""
        super().finish_step(num_tokens)
        is_last = self.num_done == self.num_steps
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES or is_last:
            self._last = time.monotonic()
            left = self.seconds_left
            time_left = "" if left is None else f", {left / 60:.1f} minutes left"
            self.note(f"{self.describe()}{time_left}")


class BarTrainingProgress(TrainingProgress):
    """Progress as a bar, for people at a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console  # noqa: PLC0415 - `--help` need not load it
        from rich.progress import (  # noqa: PLC0415 - the same
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def note(self, line: str) -> None:
        """Print the line above the bar."""
        self._bar.console.print(visible_line(line), markup=False, highlight=False)

    def begin_training(self, num_steps: int, *, done: int) -> None:
        """Turn the bar to the steps."""
        super().begin_training(num_steps, done=done)
        self._bar.reset(self._task, total=num_steps, completed=done)

    def finish_step(self, num_tokens: int) -> None:
        """Move the bar."""
        super().finish_step(num_tokens)
        self._bar.update(self._task, completed=self.num_done, description=self.describe())


def make_training_progress() -> AbstractContextManager[TrainingProgress]:
    """Return a bar where a person watches, plain lines elsewhere."""
    return BarTrainingProgress() if sys.stderr.isatty() else nullcontext(LineTrainingProgress())
