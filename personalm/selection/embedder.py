"""Embedders: texts in, one row of numbers a text out, the more alike the texts the nearer.

Knows no users. torch is loaded only when a `SentenceEmbedder` is made.
"""

from __future__ import annotations

import re
import sys
import zlib
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from personalm.bundled import PREFIX, model_folder
from personalm.errors import ModelError
from personalm.foreign import PICKLES, check_files, has_safetensors, read_json, read_list, walk
from personalm.hashing import digest, digest_file
from personalm.places import expand_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

_MODULES = "modules.json"
_CONFIGURATIONS = (_MODULES, "config.json")
# Others import classes by name, have weights that are pickles, or route to further modules.
_KNOWN_MODULES = frozenset(
    {"Dense", "Dropout", "LayerNorm", "Normalize", "Pooling", "StaticEmbedding", "Transformer"}
)
_SETTINGS = re.compile(r"config\.json|sentence_.*_config\.json")
_LOADER_KEYS = frozenset(
    """backend config_args config_kwargs model_args model_kwargs processor_kwargs
    quantization_config tokenizer_args tokenizer_name_or_path""".split()  # noqa: SIM905 - reads better
)
_ACTIVATIONS = "torch.nn.modules.activation."
_DIGESTED = frozenset({".json", ".safetensors", ".txt", ".model"})
_SPECIAL_TOKENS = 2
# A piece may be a few tokens longer by itself than it was within its text.
_SLACK = 6
# Of a batch, pads counted. A token is a byte at least, so this bounds the memory that it takes,
# also where a model has a window of thousands of tokens.
_MAX_BATCH_BYTES = 1 << 17


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns texts into rows."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the rows of the texts, in order.

        *Shape:* (number of texts, dimensions); each row has length 1, or is all zero where
        nothing of its text is known.
        """


class ScriptedEmbedder:
    """Hashed character trigrams: the same on every machine, for tests and dry runs."""

    def __init__(self, num_dimensions: int = 256) -> None:
        self._num_dimensions = num_dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Count the trigrams of each text; letters and digits are all that is known."""
        size = self._num_dimensions
        rows = np.zeros((len(texts), size), dtype=np.float32)
        for number, text in enumerate(texts):
            padded = f"  {' '.join(text.casefold().split())}  "
            if not any(character.isalnum() for character in padded):
                continue
            # Python's own loop would be most of the time that a dry run takes.
            checksums = map(_checksum, padded, padded[1:], padded[2:])
            dimensions = np.fromiter(checksums, np.int64, count=len(padded) - 2) % size
            rows[number] = np.bincount(dimensions, minlength=size)
        return _normalise(rows)


class NoEmbedder:
    """Knows nothing of any text: its rows have no columns."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return an empty row for each text."""
        return np.zeros((len(texts), 0), dtype=np.float32)


class SentenceEmbedder:
    """A sentence-transformers model from a local folder, a `bundled:` name or the hub's cache.

    Nothing is downloaded, no code of the model's is run, and weights are safetensors only.
    """

    def __init__(self, name: str | Path, *, device: str = "cpu", batch_size: int = 64) -> None:
        folder = find_folder(name)
        try:
            self._model = _load(folder, device)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(
                f"{folder} cannot be loaded as a sentence-transformers model: {error}",
                remedy="Name a complete folder: selection.embedder = FOLDER.",
            ) from error
        self._batch_size = batch_size
        self._tokenizer = self._model.tokenizer
        # A static model has no window: it takes texts of any length.
        self._window = self._model.max_seq_length or sys.maxsize

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed all texts in one call; a long one is the mean of its pieces."""
        pieces = [self._split(text) for text in texts]
        flat = [piece for parts in pieces for piece in parts]
        if not flat:
            return np.zeros((len(texts), self._num_dimensions), dtype=np.float32)
        encoded = self._embed(flat)
        rows = np.zeros((len(texts), encoded.shape[1]), dtype=np.float32)
        owners = np.repeat(np.arange(len(texts)), [len(parts) for parts in pieces])
        weights = np.array([len(piece) for piece in flat], dtype=np.float32)
        np.add.at(rows, owners, encoded * weights[:, None])
        return _normalise(rows)

    def _embed(self, pieces: Sequence[str]) -> NDArray[np.float32]:
        """Return the rows of pieces that fit the window, the longest read first."""
        plan = list(_plan([len(piece.encode()) for piece in pieces], self._batch_size))
        read = [
            self._model.encode(
                [pieces[place] for place in places],
                batch_size=len(places),
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            for places in plan
        ]
        rows: NDArray[np.float32] = np.concatenate(read)
        return rows[np.argsort(np.concatenate(plan))]

    @property
    def _num_dimensions(self) -> int:
        return int(self._model.get_embedding_dimension() or 1)

    def _split(self, text: str) -> tuple[str, ...]:
        """Return pieces that fit the window; none where the tokenizer knows no token."""
        text = text.strip()
        # A token is a byte at least, and a text with a letter of ASCII has a known token.
        is_short = len(text.encode()) <= self._window - _SPECIAL_TOKENS
        if is_short and re.search("[A-Za-z0-9]", text):
            return (text,)
        if not callable(self._tokenizer):  # that of a static model
            return (text,) if text else ()
        tokens = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        unknown = self._tokenizer.unk_token_id
        if all(token == unknown for token in tokens["input_ids"]):
            return ()
        return (text,) if is_short else tuple(_cut(text, tokens["offset_mapping"], self._window))


@lru_cache(maxsize=1 << 14)
def _checksum(first: str, second: str, third: str) -> int:
    return zlib.crc32((first + second + third).encode())


def find_folder(name: str | Path) -> Path:
    """Return the folder of an embedder. Raises ModelError where there is none, or it is unsafe."""
    text = str(name)
    folder = model_folder(text) if text.startswith(PREFIX) else expand_home(text)
    if not folder.is_dir():
        folder = _find_cached(text)
    if not any((folder / name).is_file() for name in _CONFIGURATIONS):
        raise ModelError(
            f"{folder} holds no model: neither {' nor '.join(_CONFIGURATIONS)} is there",
            remedy="Name a complete folder: selection.embedder = FOLDER.",
        )
    if not text.startswith(PREFIX):
        _check_folder(folder)
    return folder


def embedder_digest(name: str | Path) -> str:
    """Return the SHA-256, in hex, of an embedder's configuration, vocabulary and weights."""
    folder = find_folder(name)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in _DIGESTED)
    return digest([[p.relative_to(folder).as_posix(), digest_file(p)] for p in files])


def _check_folder(folder: Path) -> None:
    """Refuse what would run code, or load other files than those of the folder."""
    check_files(folder)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICKLES and not has_safetensors(path.parent):
            raise ModelError(
                f"{path} is not safetensors: loading it could run code",
                remedy="Convert the weights, or name another folder: selection.embedder = FOLDER.",
            )
        if path.suffix.lower() == ".json":
            _check_settings(path)
    if (folder / _MODULES).is_file():
        for module in read_list(folder / _MODULES):
            _check_module(folder, module)


def _check_settings(path: Path) -> None:
    """Refuse settings that are handed on to a loader, and classes outside of torch's own."""
    if not _SETTINGS.fullmatch(path.name):
        return
    for key, value in walk(read_json(path)):
        if key in _LOADER_KEYS and value:
            raise ModelError(
                f"{path} changes how the model is loaded ({key})",
                remedy="Save the model anew, without it.",
            )
        if key == "activation_function" and not str(value).startswith(_ACTIVATIONS):
            raise ModelError(f"{path} names a class that is no activation of torch ({key})")


def _check_module(folder: Path, module: object) -> None:
    kind = str(module.get("type")) if isinstance(module, dict) else ""
    place = str(module.get("path", "")) if isinstance(module, dict) else ""
    package, _, name = kind.rpartition(".")
    if package.partition(".")[0] != "sentence_transformers" or name not in _KNOWN_MODULES:
        raise ModelError(
            f"{folder / _MODULES} asks for the module {kind[:80]!r}, which is not supported",
            remedy=f"Supported are: {', '.join(sorted(_KNOWN_MODULES))}.",
        )
    if not (folder / place).resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{folder / _MODULES} names a folder outside of its own: {place[:80]!r}")


def _find_cached(name: str) -> Path:
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - seldom needed, slow

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (errors.HFValidationError, errors.LocalEntryNotFoundError, OSError):
        raise ModelError(
            f"the embedder {name} is neither a folder nor in the cache of the model hub",
            remedy="Name a folder or a bundled model: selection.embedder = bundled:minilm-l6.",
        ) from None


def _load(folder: Path, device: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - loads torch
    from transformers.utils import logging  # noqa: PLC0415 - the same

    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it has no annotations
    try:
        return SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    finally:
        if shows_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same


def _plan(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut the places of pieces into batches of like length: as many pieces and bytes as allowed."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        # The first piece of a batch is its longest.
        if batch and (
            len(batch) == most or (len(batch) + 1) * lengths[batch[0]] > _MAX_BATCH_BYTES
        ):
            yield batch
            batch = []
        batch.append(place)
    yield batch


def _cut(text: str, offsets: Sequence[tuple[int, int]], window: int) -> Iterator[str]:
    """Yield pieces of nearly equal length in tokens."""
    room = max(1, window - _SPECIAL_TOKENS - _SLACK)
    num_pieces = -(-len(offsets) // room)
    bounds = [round(number * len(offsets) / num_pieces) for number in range(num_pieces + 1)]
    for first, last in pairwise(bounds):
        yield text[offsets[first][0] : offsets[last - 1][1]]


def _normalise(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give each row length 1; zero and broken rows become zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    is_sound = np.isfinite(lengths) & (lengths > 0)
    unit = np.zeros_like(rows)
    np.divide(rows, lengths, out=unit, where=is_sound)
    return unit
