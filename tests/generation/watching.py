"""Looks into an engine at work: what the model is called with, and which tokens are drawn."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from personalm.generation.loading import LoadedModel
    from personalm.generation.tokenizer import TextTokenizer
    from personalm.records import Sample

_MARK = ": "


class Telling:
    """A model's tokenizer that tells before each text which ids it is made of, and counts."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self.prefix_ids = tokenizer.prefix_ids
        self.num_decoded = 0

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the ids, and their text."""
        self.num_decoded += 1
        return f"{json.dumps(list(token_ids))}{_MARK}{self._tokenizer.decode(token_ids)}"

    def piece(self, token_id: int) -> str:
        """Return the text of one id alone."""
        return self._tokenizer.piece(token_id)


def telling(model: LoadedModel) -> LoadedModel:
    """Return a model whose texts tell their ids."""
    tokenizer: Any = Telling(model.tokenizer)
    return replace(model, tokenizer=tokenizer)


def ids_of(sample: Sample) -> list[int]:
    """Return the ids that a text tells."""
    ids: list[int] = json.loads(sample.text.partition(_MARK)[0])
    return ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of the network: its rows, and the new positions of each."""

    num_rows: int
    width: int


@contextmanager
def calls(
    model: LoadedModel, before: Callable[[Any], None] = lambda _cache: None
) -> Iterator[list[Call]]:
    """Note the calls of a model's network; `before` is given the cache of each."""
    seen: list[Call] = []

    def note(_network: Any, _args: Any, inputs: dict[str, Any]) -> None:
        num_rows, width = inputs["input_ids"].shape
        seen.append(Call(num_rows=num_rows, width=width))
        before(inputs["cache"])

    hook = model.network.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # it has no annotations
    """Notes the operations of torch: names and arguments."""

    def __init__(self, note: Callable[[str, Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._note = note

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the operation, and do it."""
        self._note(func.overloadpacket.__name__, args)
        return func(*args, **(kwargs or {}))


def is_look(name: str, args: Any) -> bool:
    """Tell whether an operation makes the program wait for what the device has computed."""
    if name.startswith("index"):
        # A mask has to be counted before its places are known.
        places = args[1] if isinstance(args[1], (list, tuple)) else ()
        return any(place is not None and place.dtype == torch.bool for place in places)
    return name in {"_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select"}
