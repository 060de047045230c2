"""Configuration files: where one is found, and its values with paths made absolute.

Relative paths start at the file's folder, `${NAME}` in a path is an environment variable. What the
values may be is not known here.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from personalm.errors import SettingsError
from personalm.places import expand_home, locate

CONFIG_VARIABLE = "PERSONALM_CONFIG"
DEFAULT_FILE = Path("personalm.toml")
TABLES = ("profiles", "interactions", "items", "requests")


def find_config(config: str | Path | None) -> Path | None:
    """Return the file named by the argument, PERSONALM_CONFIG or ./personalm.toml, in this order.

    Raises SettingsError for a file that is named and does not exist.
    """
    named = config or os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise SettingsError(f"configuration file {path} does not exist")
        return locate(path)
    return DEFAULT_FILE.resolve() if DEFAULT_FILE.is_file() else None


def _resolve_path(value: str, folder: Path) -> str:
    """Expand environment variables and make a path absolute; a URL stays as it is."""
    expanded = re.sub(r"\$\{(\w+)\}", lambda match: _variable(match.group(1)), value)
    if "://" in expanded:
        return expanded
    return str(folder / expand_home(expanded))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(
            f"the configuration uses ${{{name}}}, which is not set",
            remedy=f"Set it: {name}=FOLDER personalm ...",
        )
    return value if "://" in value else str(locate(value))


def read_config(path: Path) -> dict[str, Any]:
    """Return the values of a TOML file, its paths made absolute. Raises SettingsError."""
    try:
        # Some editors put a mark before the first letter.
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise SettingsError(f"{path}: values are nested too deep") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    inputs = values.get("inputs", {})
    if isinstance(inputs, dict):
        for table in TABLES:
            paths = inputs.get(table)
            if isinstance(paths, str):
                inputs[table] = _resolve_path(paths, path.parent)
            elif isinstance(paths, list):
                inputs[table] = [_resolve_path(str(p), path.parent) for p in paths]
    for name in ("output", "templates_dir"):
        if isinstance(values.get(name), str):
            values[name] = _resolve_path(values[name], path.parent)
    selection = values.get("selection")
    _resolve_model(values, "model", path.parent)
    if isinstance(selection, dict):
        _resolve_model(selection, "embedder", path.parent)
    return values


def _resolve_model(section: dict[str, Any], name: str, folder: Path) -> None:
    """Make the path of a model absolute; a name that is no folder beside the file stays one."""
    value = section.get(name)
    if not isinstance(value, str):
        return
    is_path = value.startswith((".", "/", "~", "${"))
    if is_path or (value and "://" not in value and (folder / value).is_dir()):
        section[name] = _resolve_path(value, folder)
