"""Progress of a run: a bar on a terminal, plain lines without one, nothing in a notebook.

All of it goes to standard error, so that what a command prints stays clean.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from personalm.accounts import Counts
from personalm.visible import visible_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Self, TextIO

    from personalm.writing import WrittenUnit

_SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """What a run tells while it is under way."""

    def begin_reading(self) -> None:
        """Say that the inputs are read from now on."""

    def read_rows(self, num_rows: int) -> None:
        """Count rows of the inputs."""

    def note(self, line: str) -> None:
        """Say something worth knowing, once."""

    def begin_writing(self, sizes: Sequence[int]) -> None:
        """Say that texts are written from now on; `sizes` are those of the buckets to come."""

    def enter_bucket(self, num_units: int, *, done: int, counts: Counts) -> None:
        """Begin a bucket: its units, how many of them are done, and what is decided already."""

    def finish_unit(self, written: WrittenUnit) -> None:
        """Count a unit that was written."""


class SilentProgress:
    """Progress that nobody watches."""

    def begin_reading(self) -> None:
        """Say nothing."""

    def read_rows(self, num_rows: int) -> None:
        """Say nothing."""

    def note(self, line: str) -> None:
        """Say nothing."""

    def begin_writing(self, sizes: Sequence[int]) -> None:
        """Say nothing."""

    def enter_bucket(self, num_units: int, *, done: int, counts: Counts) -> None:
        """Say nothing."""

    def finish_unit(self, written: WrittenUnit) -> None:
        """Say nothing."""


class CountingProgress(SilentProgress):
    """What every visible progress counts: rows, the share of the work, texts and tokens."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.num_buckets_entered = 0
        self._sizes: tuple[int, ...] = (1,)
        self.num_units = 0
        self.num_units_done = 0
        self.num_tokens = 0
        self.counts = Counts()
        self._began = time.monotonic()

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 to 1, by the sizes of the buckets."""
        entered = self._sizes[: self.num_buckets_entered]
        if not entered:
            return 0.0
        in_bucket = self.num_units_done / self.num_units if self.num_units else 1.0
        return (sum(entered[:-1]) + in_bucket * entered[-1]) / sum(self._sizes)

    @property
    def seconds(self) -> float:
        """Seconds since texts are written."""
        return time.monotonic() - self._began

    @property
    def tokens_per_second(self) -> float:
        """Tokens drawn a second, all candidates counted."""
        return self.num_tokens / self.seconds if self.seconds > 0 else 0.0

    def read_rows(self, num_rows: int) -> None:
        """Count rows."""
        self.num_rows += num_rows

    def begin_writing(self, sizes: Sequence[int]) -> None:
        """Start the clock; buckets without any size are taken as equally large."""
        self._sizes = tuple(sizes) if any(sizes) else (1,) * max(1, len(sizes))
        self._began = time.monotonic()

    def enter_bucket(self, num_units: int, *, done: int, counts: Counts) -> None:
        """Count a bucket and what is decided in it already."""
        self.num_buckets_entered += 1
        self.num_units, self.num_units_done = num_units, done
        self.counts += counts

    def finish_unit(self, written: WrittenUnit) -> None:
        """Count a unit, its outcomes and the tokens that were drawn for them."""
        self.num_units_done += 1
        results = sum(outcome.result is not None for outcome in written.outcomes)
        self.counts += Counts(results=results, rejections=len(written.outcomes) - results)
        self.num_tokens += sum(
            sample.num_tokens
            for draws in written.draws.values()
            for draw in draws
            for sample in draw.samples
        )

    def describe(self) -> str:
        """Say in words how far the run is."""
        counts = self.counts
        parts = [f"{counts.results} texts"]
        if counts.rejections:
            parts.append(f"{counts.rejections} rejected")
        if counts.unchanged:
            parts.append(f"{counts.unchanged} unchanged")
        if self.num_tokens:
            parts.append(f"{self.tokens_per_second:.0f} tokens/s")
        return ", ".join(parts)


class LineProgress(CountingProgress):
    """Progress as plain lines, one every few seconds, for logs and pipes."""

    def __init__(self, label: str = "", stream: TextIO | None = None) -> None:
        super().__init__()
        self._label = f"{label}: " if label else ""
        self._stream = stream or sys.stderr
        self._last = 0.0

    def begin_reading(self) -> None:
        """Say that the inputs are read."""
        self._say("reading the inputs")

    def note(self, line: str) -> None:
        """Say the line."""
        self._say(line)

    def begin_writing(self, sizes: Sequence[int]) -> None:
        """Say how much was read."""
        super().begin_writing(sizes)
        self._say(f"{self.num_rows:,} rows read; writing" if self.num_rows else "writing")

    def finish_unit(self, written: WrittenUnit) -> None:
        """Say now and then how far the run is."""
        super().finish_unit(written)
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES or self.share == 1.0:
            self._last = time.monotonic()
            self._say(f"{self.share:4.0%}  {self.describe()}")

    def _say(self, line: str) -> None:
        self._stream.write(visible_line(f"{self._label}{line}") + "\n")
        self._stream.flush()


class BarProgress(CountingProgress):
    """Progress as a bar with the time left, for people at a terminal."""

    def __init__(self, label: str = "") -> None:
        super().__init__()
        from rich.console import Console  # noqa: PLC0415 - `--help` need not load it
        from rich.progress import (  # noqa: PLC0415 - the same
            BarColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar  # noqa: PLC0415 - the same

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=Console(stderr=True),
        )
        self._label = f"{label} " if label else ""
        self._task = self._bar.add_task(f"{self._label}reading", total=None, words="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def read_rows(self, num_rows: int) -> None:
        """Show the number of rows."""
        super().read_rows(num_rows)
        self._bar.update(self._task, words=f"{self.num_rows:,} rows")

    def note(self, line: str) -> None:
        """Print the line above the bar."""
        self._bar.console.print(visible_line(line), markup=False, highlight=False)

    def begin_writing(self, sizes: Sequence[int]) -> None:
        """Turn the bar to the texts; the models are loaded first."""
        super().begin_writing(sizes)
        self._bar.reset(self._task, total=1.0, description=f"{self._label}writing", words="")

    def enter_bucket(self, num_units: int, *, done: int, counts: Counts) -> None:
        """Move the bar."""
        super().enter_bucket(num_units, done=done, counts=counts)
        self._move()

    def finish_unit(self, written: WrittenUnit) -> None:
        """Move the bar."""
        super().finish_unit(written)
        self._move()

    def _move(self) -> None:
        self._bar.update(self._task, completed=self.share, words=self.describe())


def make_progress(label: str = "") -> AbstractContextManager[Progress]:
    """Return a bar where a person watches, plain lines elsewhere."""
    return BarProgress(label) if sys.stderr.isatty() else nullcontext(LineProgress(label))
