"""Errors of personalm, as one tree.

* PersonalmError
  + SettingsError      a setting, environment variable or argument is wrong
  + InputError         a Parquet file cannot be read as the data contract asks
    - InputDamagedError    it is no whole Parquet file, or changed while it was read
  + TemplateError      a template or its front matter is wrong
  + ModelError         a model folder, name or package is wrong or unsafe
  + EngineError        the engine can serve nobody any more; the run stops
  + StoreError         the output folder cannot be read or written
    - StoreLockedError     another run holds it
    - StoreDamagedError    a file is missing or differs from its checksum
  + AccountingError    requests in and outcomes out do not add up; nothing is published
* Stopped (a KeyboardInterrupt)   the process was asked to end by a signal

Messages say what was found, where, and what to do. They never hold a user's text or id: files,
columns, rows and counts name the place. Every class can be built from its message alone, so that
it crosses process borders by pickle.
"""

from __future__ import annotations

import signal

from personalm.visible import visible_line


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


class PersonalmWarning(UserWarning):
    """Something was served in a lesser way than asked; the message says how."""


class Stopped(KeyboardInterrupt):
    """The process was asked to end by a signal; its exit code is 128 + the signal."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """Exit code of a process that ends by this signal."""
        return 128 + self.signal_number
