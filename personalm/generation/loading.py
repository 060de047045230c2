"""Loading a language model: the only place that turns a folder into a network.

Nothing of the folder is run: safetensors, standard architectures, no remote code. transformers
keeps silent meanwhile, for it would write to the user's terminal.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.activations import NewGELUActivation
from transformers.utils import logging as noise

from personalm.errors import ModelError
from personalm.foreign import read_object
from personalm.generation.adapters import merge_adapter, read_adapter
from personalm.generation.guards import MODEL_TYPES, check_folder
from personalm.generation.models import find_folder, inspect_model
from personalm.generation.probe import is_bfloat16_faster
from personalm.generation.shared_prefix import SHARED_PREFIX, can_share
from personalm.generation.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

    from personalm.records import ModelCard

Dtype = Literal["auto", "float32", "bfloat16"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A language model ready to draw.

    `eos_ids` end a text. Token ids are below `num_embeddings`. `pad_id` fills a batch of training
    up and is always masked: which id it is does not matter.
    """

    card: ModelCard
    network: PreTrainedModel
    tokenizer: TextTokenizer
    device: torch.device
    dtype: torch.dtype
    eos_ids: frozenset[int]
    num_embeddings: int
    pad_id: int = 0

    @property
    def reads_batches(self) -> bool:
        """Whether prompts of several lengths may be read together; else each is read alone."""
        return self.network.config.model_type in MODEL_TYPES


def load_model(
    model: ModelCard | str,
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    threads: int = 0,
) -> LoadedModel:
    """Load a model; `threads` are those of torch, 0 is one a core.

    Raises ModelError where the folder may not be loaded, or the device does not exist.
    """
    card = inspect_model(model) if isinstance(model, str) else model
    folder = find_folder(card.name)
    model_type = str(check_folder(folder)["model_type"])
    place = _find_device(device)
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    kind = find_dtype(dtype, place)
    attention = _find_attention(kind, place) if model_type in MODEL_TYPES else None
    # An adapter is added before anything is rounded.
    tokenizer, network = _read(folder, torch.float32 if card.adapter else kind, place, attention)
    if card.adapter:
        network = _merge(network, Path(card.adapter), kind)
    _quicken(network)
    if model_type not in MODEL_TYPES:
        _log.warning(
            "%s: transformers itself writes with models of type %s, a prompt at a time, "
            "which is much slower",
            *(card.name, model_type),
        )
    elif can_share(network):
        network.set_attn_implementation(SHARED_PREFIX)
    else:
        _log.warning("%s: prompts are copied for each candidate, which is slower", card.name)
    num_embeddings = cast("int", network.get_input_embeddings().num_embeddings)
    _check_vocabulary(folder, tokenizer.num_ids, num_embeddings)
    name = f"{card.name} with {card.adapter}" if card.adapter else card.name
    _log.info("%s loaded as %s on %s", name, str(kind).removeprefix("torch."), place)
    return LoadedModel(
        card=card,
        network=network,
        tokenizer=tokenizer,
        device=place,
        dtype=kind,
        eos_ids=_end_ids(folder, tokenizer),
        num_embeddings=num_embeddings,
    )


def _read(
    folder: Path, dtype: torch.dtype, device: torch.device, attention: str | None
) -> tuple[TextTokenizer, PreTrainedModel]:
    """Read tokenizer and network; transformers chooses the attention where none is named."""
    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                device_map=device,
                attn_implementation=attention,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # noqa: BLE001 - a damaged folder raises many libraries' errors
            raise ModelError(f"{folder} cannot be loaded: {_first_line(error)}") from None
    network, found = loaded  # a pair, since the loading info was asked for
    if number := len(found["missing_keys"]) + len(found["mismatched_keys"]):
        # transformers would fill them with random numbers and go on.
        raise ModelError(
            f"{folder}: {number} weights of the model are missing or of the wrong shape",
            remedy="Copy the folder again: all of its *.safetensors files belong together.",
        )
    if unknown := sorted(found["unexpected_keys"]):
        _log.warning(
            "%s has %d weights that its config.json knows nothing of, such as %s: they are ignored",
            *(folder, len(unknown), unknown[0]),
        )
    return TextTokenizer(tokenizer), network


def _quicken(network: PreTrainedModel) -> None:
    """Let one kernel of torch do what GPT-2's activation does in eight; the formula is the same."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def _merge(network: PreTrainedModel, adapter: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Add an adapter to its base, and only then round to the number format."""
    read_adapter(adapter)
    with _quiet():
        try:
            merged: Any = merge_adapter(network, adapter)
            # Weights alone: the frequencies of rotary embeddings keep their precision.
            for weight in merged.parameters():
                weight.data = weight.data.to(dtype)
            return cast("PreTrainedModel", merged)
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged folder raises many libraries' errors
            raise ModelError(
                f"{adapter} cannot be added to its base model: {_first_line(error)}",
                remedy="Adapter and base belong together: name the base it was trained on.",
            ) from None


def _end_ids(folder: Path, tokenizer: TextTokenizer) -> frozenset[int]:
    """Return the tokens that end a text: those the model names, and every other special one.

    A special token in the middle of plain text means that the model has left the text.
    """
    ids: set[object] = set(tokenizer.special_ids)
    for file in ("config.json", "generation_config.json"):
        if (folder / file).is_file():
            named = read_object(folder / file).get("eos_token_id")
            ids.update(named if isinstance(named, list) else [named])
    return frozenset(id_ for id_ in ids if isinstance(id_, int))


def _check_vocabulary(folder: Path, num_ids: int, num_embeddings: int) -> None:
    """Refuse what would address the embeddings out of bounds; more embeddings do no harm."""
    if num_ids > num_embeddings:
        raise ModelError(
            f"{folder}: the tokenizer has {num_ids} tokens, "
            f"the model embeddings for {num_embeddings}",
            remedy="Call model.resize_token_embeddings(len(tokenizer)) and train the new rows.",
        )


def _find_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"device {device!r} cannot be used: {_first_line(error)}") from None
    return place


def find_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """Return the number format; `auto` is bfloat16 on a GPU, and where a processor is faster so."""
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if device.type == "cuda" or is_bfloat16_faster():
        return torch.bfloat16
    return torch.float32


def _find_attention(dtype: torch.dtype, device: torch.device) -> Literal["eager", "sdpa"]:
    """Return the faster attention: torch's own is slow for one bfloat16 token a row on a CPU."""
    return "eager" if device.type == "cpu" and dtype == torch.bfloat16 else "sdpa"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from writing to the user's terminal."""
    verbosity, shows_bars = noise.get_verbosity(), noise.is_progress_bar_enabled()
    noise.set_verbosity(logging.ERROR)
    noise.disable_progress_bar()  # type: ignore[no-untyped-call]  # it has no annotations
    try:
        yield
    finally:
        noise.set_verbosity(verbosity)
        if shows_bars:
            noise.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
