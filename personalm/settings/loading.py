"""The settings as a whole, and where they come from.

pydantic-settings would ignore an unknown environment variable in silence: here it is an error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from personalm.configuration import CONFIG_VARIABLE, find_config, read_config
from personalm.errors import SettingsError
from personalm.remote import place_of
from personalm.settings.inputs import Inputs
from personalm.settings.section import Strings
from personalm.settings.training import Scratch, Training
from personalm.settings.writing import Generation, Prompting, Selection, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "PERSONALM_"
DATA_VARIABLE = "PERSONALM_DATA"
CACHE_VARIABLE = "PERSONALM_CACHE"

_FILE = "file"


class Settings(BaseSettings):
    """All settings of a run."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
    )

    model: str = "bundled:smollm2-135m"
    """A folder, a hub id such as `gpt2`, or a `bundled:` name."""
    kinds: Strings = ("post",)
    """Kinds to derive requests for, where there is no requests table."""
    output: Path = Path("personalm-output")
    seed: int = Field(default=0, ge=0, lt=2**63)
    templates_dir: Path | None = None
    """Folder with templates of your own; they win over the shipped ones."""
    shards: int = Field(default=4, ge=1)
    """Tasks that a Prefect flow cuts a run into."""
    inputs: Inputs = Inputs()
    prompting: Prompting = Prompting()
    generation: Generation = Generation()
    selection: Selection = Selection()
    store: Store = Store()
    training: Training = Training()
    scratch: Scratch = Scratch()

    @field_validator("output")
    @classmethod
    def _known_place(cls, value: Path) -> Path:
        return place_of(value)

    @model_validator(mode="after")
    def _kinds_once(self) -> Self:
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds: a kind is named twice")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments over the environment over the file; `load_settings` hands in both."""
        del dotenv_settings, file_secret_settings
        arguments = dict(getattr(init_settings, "init_kwargs", {}))
        file = arguments.pop(_FILE, {})
        return (
            InitSettingsSource(settings_cls, arguments),
            env_settings,
            InitSettingsSource(settings_cls, file),
        )


def load_settings(config: str | Path | None = None, **overrides: object) -> Settings:
    """Read the settings; an override is an argument of the caller and wins, `None` is not given.

    A dotted name reaches into a section: `{"generation.candidates": 4}`.
    Raises SettingsError naming the file and key.
    """
    path = find_config(config)
    values = read_config(path) if path else {}
    arguments = _nest({name: value for name, value in overrides.items() if value is not None})
    try:
        _refuse_unknown_variables()
        arguments[_FILE] = values
        return Settings(**arguments)
    except ValidationError as error:
        raise SettingsError(_describe(error, path)) from None
    except SourceError as error:
        # It names the setting and the source; what stands there may be a secret.
        variables = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
        raise SettingsError(
            f"settings: {error}; set are {', '.join(variables)}", remedy="Write it as JSON."
        ) from None


def _nest(given: Mapping[str, object]) -> dict[str, Any]:
    """Turn dotted names into sections."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        *parents, leaf = name.split(".")
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return values


def _refuse_unknown_variables() -> None:
    known = {CONFIG_VARIABLE, DATA_VARIABLE, CACHE_VARIABLE}
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        known.add(variable)
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            known.update(f"{variable}__{key.upper()}" for key in section.model_fields)
    for variable in os.environ:
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            raise SettingsError(
                f"environment variable {variable} is no setting of personalm",
                remedy="Unset it, or write it as PERSONALM_SECTION__KEY.",
            )


def _describe(error: ValidationError, path: Path | None) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        wrong = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"{key}: {wrong}")
    place = f"{path}: " if path else "settings: "
    return place + "; ".join(lines)
