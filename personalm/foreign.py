"""What a folder of a model must be before any library reads it; the folder may be hostile.

Language models and embedders are held to the same rules: no program code, no setting that asks for
some, no link or name that leads out of the folder, weights as safetensors. Only JSON is read here,
and the names and kinds of files; no weight and no vocabulary is opened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from personalm.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICKLES = frozenset(
    ".bin .pt .pth .pkl .pickle .ckpt .joblib .npy .npz .h5 .hdf5 .keras .msgpack .ot".split()  # noqa: SIM905 - reads better
)
"""Suffixes of weights that are no safetensors: reading most of them can run code."""

INDEX = ".safetensors.index.json"

_SAFETENSORS = ".safetensors"
_CODE = frozenset({".py", ".pyc", ".pyd", ".so"})
_CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})
# They name other weights than the usual ones, pickles among them, or another model to load.
_DETOUR_KEYS = frozenset({"transformers_weights", "base_model_name_or_path"})
_KERNEL_KEYS = frozenset({"attn_implementation", "_attn_implementation", "experts_implementation"})
# Keys of these files are words of the vocabulary.
_WORD_LISTS = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})
_MAX_JSON_BYTES = 32 << 20


def check_files(folder: Path, *, is_adapter: bool = False) -> None:
    """Raise ModelError for a file of the folder that is unsafe, at any depth.

    The name of a base model is read from the folder of an adapter, and nowhere else.
    """
    home = _home(folder)
    for path in sorted(folder.rglob("*")):
        _check_place(path, folder, home)
        if path.suffix.lower() in _CODE and not path.is_dir():
            raise ModelError(
                f"{folder} holds program code ({path.relative_to(folder)})",
                remedy="Code of a model is never run: use a model of a standard architecture, "
                "and keep only its own files in its folder.",
            )
        if path.name.endswith(INDEX):
            _check_index(path)
        elif path.suffix.lower() == ".json" and path.name not in _WORD_LISTS:
            _check_keys(path)
    if not is_adapter and (folder / "adapter_config.json").exists():
        raise ModelError(
            f"{folder} holds an adapter beside the model, which would name another model to load",
            remedy="Merge the adapter into the model, or remove adapter_config.json.",
        )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ModelError."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    return value


def read_list(path: Path) -> list[Any]:
    """Read a JSON list. Raises ModelError."""
    value = read_json(path)
    if not isinstance(value, list):
        raise ModelError(f"{path} holds no JSON list")
    return value


def has_safetensors(folder: Path) -> bool:
    """Tell whether a folder has the safetensors that libraries look for by name."""
    names = (f"model{_SAFETENSORS}", f"model{INDEX}")
    return any((folder / name).is_file() for name in names)


def read_json(path: Path) -> Any:  # noqa: ANN401 - a value of JSON
    """Read a JSON file of settings. Raises ModelError."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelError(f"{path} is too large for a file of settings")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {type(error).__name__}") from None


def _home(folder: Path) -> Path:
    """Return the folder that links may not leave: of a model in the hub's cache, the model's."""
    real = folder.resolve()
    in_cache = real.parent.name == "snapshots" and real.parents[1].name.startswith("models--")
    return real.parents[1] if in_cache else real


def _check_place(path: Path, folder: Path, home: Path) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ModelError(
            f"{path} is a link that leads nowhere",
            remedy="Copy the folder again, with the files that its links name.",
        ) from None
    if not target.is_relative_to(home):
        raise ModelError(
            f"{path} is a link that leads out of {folder}",
            remedy="Put the file itself there: only what lies in a model's folder is read.",
        )
    if not (target.is_file() or target.is_dir()):
        raise ModelError(f"{path} is neither a file nor a folder", remedy="Remove it.")


def _check_index(path: Path) -> None:
    """Refuse an index whose shards are no safetensors of its own folder."""
    shards = read_object(path).get("weight_map")
    names = set(map(str, shards.values())) if isinstance(shards, dict) else set()
    if not names:
        raise ModelError(f"{path} names no weights")
    for name in sorted(names):
        is_plain = "/" not in name and "\\" not in name and name not in {"", ".", ".."}
        if not is_plain or not name.endswith(_SAFETENSORS) or not (path.parent / name).is_file():
            raise ModelError(
                f"{path} names a shard that is no safetensors file of its folder: {name[:80]!r}",
                remedy="Copy the folder again: all of its *.safetensors files belong together.",
            )


def _check_keys(path: Path) -> None:
    for key, value in walk(read_json(path)):
        asks_for_kernel = key in _KERNEL_KEYS and "/" in str(value)
        if key in _CODE_KEYS or asks_for_kernel:
            raise ModelError(
                f"{path} asks for program code ({key})",
                remedy="Code of a model is never run: use a model of a standard architecture.",
            )
        if key in _DETOUR_KEYS and path.name != "adapter_config.json":
            raise ModelError(
                f"{path} names other weights or another model to load ({key})",
                remedy="Save the model whole, with save_pretrained, and name that folder.",
            )


def walk(value: object) -> Iterator[tuple[str, object]]:
    """Yield every key of a JSON value with what stands under it, at any depth."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
