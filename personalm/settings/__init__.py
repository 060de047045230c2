"""Settings: one TOML file, overridden by PERSONALM_ environment variables, then by arguments.

Relative paths in a file start at the file's folder; those in the environment and in arguments at
the current folder. `${NAME}` in a path is an environment variable. An unknown key is an error
wherever it stands.
"""

from __future__ import annotations

from personalm.settings.inputs import ColumnSource, Inputs, Markup, Replies, TimeUnit
from personalm.settings.loading import (
    CACHE_VARIABLE,
    DATA_VARIABLE,
    PREFIX,
    Settings,
    load_settings,
)
from personalm.settings.training import Scratch, Training
from personalm.settings.writing import Generation, Prompting, ScorerName, Selection, Store

__all__ = [
    "CACHE_VARIABLE",
    "DATA_VARIABLE",
    "PREFIX",
    "ColumnSource",
    "Generation",
    "Inputs",
    "Markup",
    "Prompting",
    "Replies",
    "ScorerName",
    "Scratch",
    "Selection",
    "Settings",
    "Store",
    "TimeUnit",
    "Training",
    "load_settings",
]
