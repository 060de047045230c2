"""Publishing: a trained model's folder, complete or not there at all.

It is put together under a hidden name, every file synced, measured where it lies, and then renamed.
A rename refuses a folder with files. To replace a model, the old one is moved aside first; a crash
in between leaves it there, and the next training puts it back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from personalm.errors import TrainingError
from personalm.generation.adapters import CONFIG, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from personalm.training.checkpoints import Checkpoint
    from personalm.training.workplace import Workplace

_PIECE = 8 << 20
_MODEL_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json")
_BASE_FILES = (
    *("generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"),
)


def draft_adapter(place: Workplace, checkpoint: Checkpoint, *, base: str) -> None:
    """Begin the folder of an adapter: its weights, and the name of its base."""
    _begin(place)
    config = json.loads((checkpoint.folder / CONFIG).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base, "inference_mode": True}
    config["target_modules"] = sorted(config["target_modules"])
    place.files.create(place.draft / CONFIG, _as_json(config))
    place.files.create(place.draft / WEIGHTS, _pieces(checkpoint.folder / WEIGHTS))


def draft_model(place: Workplace, checkpoint: Checkpoint, *, base_folder: Path) -> None:
    """Begin the folder of a whole model: its weights, with the tokenizer of its base."""
    _begin(place)
    sources = [path for pattern in _MODEL_FILES for path in checkpoint.folder.glob(pattern)]
    sources += [base_folder / name for name in _BASE_FILES if (base_folder / name).is_file()]
    for source in sorted(sources, key=lambda path: path.name):
        place.files.create(place.draft / source.name, _pieces(source))


def finish_draft(place: Workplace, documents: Mapping[str, bytes | Mapping[str, Any]]) -> None:
    """Add the papers of a model: measures, leak report, roster, provenance, card."""
    for name, document in documents.items():
        data = document if isinstance(document, bytes) else _as_json(document)
        place.files.replace(place.draft / name, data)


def publish(place: Workplace, *, replaces: bool) -> None:
    """Give the finished folder its name. Raises TrainingError where it is taken by now."""
    files = place.files
    files.sync(place.draft)
    place.refuse_taken(replaces=replaces)
    if place.output.is_dir() and any(place.output.iterdir()):
        files.move_folder(place.output, place.replaced)
    try:
        files.move_folder(place.draft, place.output)
    except FileExistsError:
        raise TrainingError(
            f"{place.output} was filled meanwhile; nothing is published",
            remedy="Name another folder: the same settings go on from here.",
        ) from None
    files.remove_tree(place.replaced)


def _begin(place: Workplace) -> None:
    place.files.remove_tree(place.draft)
    place.files.make_folder(place.draft)


def _as_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _pieces(path: Path) -> Iterator[bytes]:
    """Read a file piece by piece: weights may be larger than the memory that is left."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
