"""What all sections of the settings have in common."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode


class Section(BaseModel):
    """One table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _read_strings(value: object) -> object:
    """Take one string for a tuple of one, and the JSON of an environment variable for a list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        # A file's name may start like a list.
        with suppress(ValueError):
            return json.loads(value)
    return (value,)


Strings: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_read_strings)]
"""One string, or several of them."""
