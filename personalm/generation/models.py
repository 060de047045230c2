"""Language models: found by name, checked and inspected, all without torch.

A name is a folder, a `bundled:` model, or an id on the Hugging Face hub, in this order. A hub model
that lies in the local cache is used as it lies there; only a missing one is downloaded. An id may
name a revision, which pins it: `gpt2@COMMIT`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from personalm import bundled
from personalm.errors import ModelError
from personalm.foreign import walk
from personalm.generation.adapters import is_adapter, read_adapter
from personalm.generation.deadlines import check_deadline
from personalm.generation.guards import LONE_TYPES, check_folder
from personalm.hashing import digest, digest_file
from personalm.places import expand_home
from personalm.records import ModelCard

_POSITION_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_POSITIONS_UNSAID = 2_048
_LONG_ROPES = ("longrope", "su")
_FIRST_LENGTH = "original_max_position_embeddings"
_MAX_README_BYTES = 1 << 20
_NEEDED_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def inspect_model(
    name: str,
    *,
    languages: tuple[str, ...] | None = None,
    adapter_kinds: tuple[str, ...] | None = None,
) -> ModelCard:
    """Return what is known of a model, without loading it; its folder is checked.

    `languages` wins over what the model says of itself, `adapter_kinds` over what an adapter says
    it has learned.
    Raises ModelError where the model cannot be found or may not be loaded.
    """
    folder = find_folder(name)
    check_deadline(folder)
    if is_adapter(folder):
        return _inspect_adapter(name, folder, languages, adapter_kinds)
    config = check_folder(folder)
    return ModelCard(
        name=name,
        digest=_digest(name, folder),
        max_positions=_num_positions(folder / "config.json", config),
        languages=languages or _languages(name, folder),
    )


def _inspect_adapter(
    name: str,
    folder: Path,
    languages: tuple[str, ...] | None,
    adapter_kinds: tuple[str, ...] | None,
) -> ModelCard:
    """Return the card of an adapter's base, with the adapter in it; digests cover both."""
    adapter = read_adapter(folder)
    base_folder = find_folder(adapter.base, may_download=False)
    if is_adapter(base_folder):
        raise ModelError(f"{folder}: its base model is an adapter itself")
    base = inspect_model(adapter.base)
    if adapter.base_digest not in {None, base.digest}:
        raise ModelError(
            f"{folder} was trained on another version of {adapter.base} than lies here",
            remedy="Put that version back, or train the adapter again.",
        )
    return replace(
        base,
        digest=digest([base.digest, adapter.digest]),
        languages=languages or _languages(name, folder) or base.languages,
        adapter=str(folder),
        learned_kinds=adapter.learned_kinds if adapter_kinds is None else adapter_kinds,
        base=replace(base, languages=languages or base.languages),
    )


def find_folder(name: str, *, may_download: bool = True) -> Path:
    """Return the folder of a model, downloading or unpacking it where it must be.

    Raises ModelError where there is none.
    """
    if name.startswith(bundled.PREFIX):
        if bundled.find_model(name).kind != "language model":
            raise ModelError(f"{name} is no language model: it cannot write")
        return bundled.model_folder(name)
    folder = expand_home(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"model folder {name} does not exist")
    return _find_on_hub(name, may_download=may_download)


def _find_on_hub(name: str, *, may_download: bool) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow, rarely needed
    from huggingface_hub.errors import (  # noqa: PLC0415 - the same
        HFValidationError,
        LocalEntryNotFoundError,
    )

    wanted: dict[str, Any] = {"allow_patterns": [*_NEEDED_FILES, "README.md"]}
    repository, at, revision = name.partition("@")
    if at:
        wanted["revision"] = revision
    try:
        cached = Path(snapshot_download(repository, **wanted, local_files_only=True))
        if (cached / "config.json").is_file() and any(cached.glob("*.safetensors")):
            return cached
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise ModelError(f"{name!r} is neither a folder nor a model name") from None
    if not may_download:
        raise ModelError(
            f"{name}, the base of an adapter, is no folder and is not in the local cache",
            remedy="Nothing is downloaded because an adapter says so. Run once with this model.",
        )
    try:
        return Path(snapshot_download(repository, **wanted))
    except Exception as error:  # noqa: BLE001 - the hub's client raises errors of many libraries
        raise ModelError(
            f"{name} is no folder, is not in the local cache and cannot be downloaded "
            f"({type(error).__name__})",
            remedy="Name a folder, or a model that comes as a package: personalm models.",
        ) from None


def _num_positions(path: Path, config: dict[str, Any]) -> int:
    """Return how many positions a model has to read and write in.

    A long rope turns by other factors as soon as one text of a batch passes the length of the
    first training: what a text is would hang on its company. Only positions before that count.
    """
    named = [config[key] for key in _POSITION_KEYS if key in config]
    if not named and config["model_type"] in LONE_TYPES:
        # It counts no positions; it reads as far as it has learned to, which it does not say.
        return _POSITIONS_UNSAID
    if not named or not isinstance(named[0], int):
        raise ModelError(f"{path} names no number of positions")
    pairs = list(walk(config))
    # An old name, which one architecture reads as the other.
    long_ropes = {*_LONG_ROPES, "yarn"} if config["model_type"] == "phi3" else _LONG_ROPES
    if any(key in {"rope_type", "type"} and value in long_ropes for key, value in pairs):
        named += [value for key, value in pairs if key == _FIRST_LENGTH and isinstance(value, int)]
    return min(named)


def _digest(name: str, folder: Path) -> str:
    """Return a digest of every file that decides the model's texts."""
    if name.startswith(bundled.PREFIX):
        # The unpacked files may differ in layout from version to version, the model does not.
        return digest([name, bundled.find_model(name).sha256])
    paths = sorted(path for pattern in _NEEDED_FILES for path in folder.glob(pattern))
    return digest([[path.name, digest_file(path)] for path in paths])


def _languages(name: str, folder: Path) -> tuple[str, ...] | None:
    if name.startswith(bundled.PREFIX):
        return bundled.find_model(name).languages
    from huggingface_hub.repocard import metadata_load  # noqa: PLC0415 - slow

    readme = folder / "README.md"
    try:
        if readme.stat().st_size > _MAX_README_BYTES:
            return None
        metadata: dict[str, Any] = metadata_load(readme) or {}
    except Exception:  # noqa: BLE001 - a README may hold anything, and says nothing then
        return None
    named = metadata.get("language")
    # YAML takes the code of Norwegian for a "no"; what else is no text, no model means.
    codes = ["no" if code is False else code for code in _as_list(named)]
    if "multilingual" in codes:
        return None
    return tuple(code.lower() for code in codes if isinstance(code, str)) or None


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
