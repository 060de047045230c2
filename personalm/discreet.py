"""Discreet records: their `repr` tells sizes and numbers, never a text or an id.

A record lands in tracebacks, in log lines and in the messages of other libraries by accident;
what it holds of a person must not go with it.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import fields
from enum import Enum
from typing import Any


class Discreet:
    """Base of dataclasses that hold what people wrote; they are made with `repr=False`."""

    __slots__ = ()

    def __repr__(self) -> str:
        # A record that is still being made, or taken apart, has not all of its fields.
        names = [f.name for f in fields(self) if hasattr(self, f.name)]  # type: ignore[arg-type]  # only dataclasses derive from it
        told = ", ".join(f"{name}={_tell(getattr(self, name))}" for name in names)
        return f"{type(self).__name__}({told})"


def _tell(value: Any) -> str:  # noqa: ANN401 - a field may hold anything
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, Enum):
        return str(value.name)
    if isinstance(value, Discreet):
        return repr(value)
    if isinstance(value, str):
        return f"<{len(value)} letters>"
    return f"<{len(value)}>" if isinstance(value, Sized) else f"<{type(value).__name__}>"
