"""Errors of personalm, as one tree.

* PersonalmError
  + SettingsError      a setting, environment variable or argument is wrong
  + InputError         a Parquet file cannot be read as the data contract asks
    - InputDamagedError    it is no whole Parquet file, or changed while it was read
  + TemplateError      a template or its front matter is wrong
  + ModelError         a model folder, name or package is wrong or unsafe
  + TrainingError      training cannot start, or what came of it may not be published
  + EngineError        the engine can serve nobody any more; the run stops
  + StoreError         the output folder cannot be read or written
    - StoreLockedError     another run holds it
    - StoreDamagedError    a file is missing or differs from its checksum
  + AccountingError    requests in and outcomes out do not add up; nothing is published
  + ProgramError       a fault of the program itself; nothing is published
* Stopped (a KeyboardInterrupt)   the process was asked to end by a signal

Messages say what was found, where, and what to do. They never hold a user's text or id: files,
columns, rows and counts name the place. Every class can be built from its message alone, so that
it crosses process borders by pickle.

An error met while one user is served is the row's, and costs that row alone, or the program's or
the machine's, and ends the run: see `is_of_a_row`.
"""

from __future__ import annotations

import signal
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.visible import visible_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = Path(__file__).parent
_NEVER_OF_A_ROW = (NameError, ImportError, NotImplementedError, SyntaxError, OSError, MemoryError)
_NOT_OF_A_ROW_HERE = (TypeError, AttributeError, AssertionError)


class PersonalmError(Exception):
    """Base of all errors raised on purpose."""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message if self.remedy is None else f"{self.message}\n  {self.remedy}"


class SettingsError(PersonalmError):
    """A setting, environment variable or argument is wrong."""


class InputError(PersonalmError):
    """A Parquet file cannot be read as the data contract asks."""

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        column: str | None = None,
        row: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.file = file
        self.column = column
        self.row = row

    def __str__(self) -> str:
        place = ", ".join(
            f"{name} {visible_line(value)}"
            for name, value in (("file", self.file), ("column", self.column), ("row", self.row))
            if value is not None
        )
        text = super().__str__()
        return f"{place}: {text}" if place else text


class InputDamagedError(InputError):
    """A file of the inputs is no whole Parquet file, or changed while it was read."""


class TemplateError(PersonalmError):
    """A template or its front matter is wrong."""


class ModelError(PersonalmError):
    """A model folder, name or package is wrong or unsafe."""


class TrainingError(PersonalmError):
    """Training cannot start or go on, or what came of it may not be published."""


class EngineError(PersonalmError):
    """The engine can serve nobody any more; the run stops."""


class StoreError(PersonalmError):
    """The output folder cannot be read or written."""


class StoreLockedError(StoreError):
    """Another run holds the output folder."""


class StoreDamagedError(StoreError):
    """A file of the store is missing or differs from its checksum."""


class AccountingError(PersonalmError):
    """Requests in and outcomes out do not add up; nothing is published."""


class ProgramError(PersonalmError):
    """A fault of the program itself; nothing is published."""


class Stopped(KeyboardInterrupt):
    """The process was asked to end by a signal; its exit code is 128 + the signal."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """Exit code of a process that ends by this signal."""
        return 128 + self.signal_number


def is_of_a_row(error: Exception) -> bool:
    """Say whether an error met while one row is served can come from the values of that row.

    A missing name, a module that cannot be imported, a full disk or memory is never a row's. A
    wrong type or attribute is not where a file of this package met it: a value that this package
    handles has the type it asks for, so the code is wrong, for every row. Of our own errors only
    a TemplateError may be a row's.
    """
    if isinstance(error, PersonalmError):
        return isinstance(error, TemplateError)
    if isinstance(error, _NEVER_OF_A_ROW):
        return False
    return not (isinstance(error, _NOT_OF_A_ROW_HERE) and _is_raised_here(error))


@contextmanager
def faults_in_words() -> Iterator[None]:
    """Turn an error that nobody foresaw into a ProgramError; see `fault_of`."""
    try:
        yield
    except (PersonalmError, MemoryError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its message must not get out
        raise fault_of(error) from None


def fault_of(error: Exception) -> ProgramError:
    """Return an error that names places in the code alone.

    The message of the error itself may hold what a user wrote: a KeyError tells the key.
    """
    return ProgramError(
        _describe(error),
        remedy="Finished units are kept: once it is mended, the same command goes on there.",
    )


def _describe(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "memory ran out"
    if isinstance(error, OSError):
        return f"the system refused something: {error.strerror or type(error).__name__}"
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        f"{Path(frame.filename).relative_to(_PACKAGE.parent)}:{frame.lineno}"
        for frame in frames
        if Path(frame.filename).is_relative_to(_PACKAGE)
    ]
    return f"a fault of the program: {type(error).__name__} at {' < '.join(reversed(places[-4:]))}"


def _is_raised_here(error: Exception) -> bool:
    """Say whether the innermost frame of an error is one of this package's files."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(_PACKAGE)
