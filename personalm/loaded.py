"""Models that are loaded, once a process, by what tells them from any other.

The name `scripted` stands for the shipped fakes, which need no model at all.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from personalm.errors import ModelError
from personalm.generation.scripted import ScriptedEngine
from personalm.prompting.tokenizer import ByteTokenizer, Tokenizer
from personalm.selection.embedder import (
    Embedder,
    ScriptedEmbedder,
    SentenceEmbedder,
    embedder_digest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personalm.generation.engine import Engine
    from personalm.generation.likelihood import Pair
    from personalm.records import ModelCard
    from personalm.settings import Generation

SCRIPTED = "scripted"
"""Model and embedder name of the fakes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A loaded model: what it reads and what it writes.

    `likelihood` gives the natural logarithm of the probability of each target after its prompt;
    `None` where the model is a fake that has none.
    """

    tokenizer: Tokenizer
    engine: Engine
    likelihood: Callable[[Sequence[Pair]], list[float]] | None = None


# An adapter and its base: both may be needed in turn.
@lru_cache(maxsize=2)
def load_voice(card: ModelCard, machine: Generation) -> Voice:
    """Return a language model on a machine; a run that finds nothing to do loads none."""
    if card.digest == SCRIPTED:
        return Voice(tokenizer=ByteTokenizer(), engine=ScriptedEngine())
    # torch and transformers are loaded here and nowhere earlier: seconds that help need not cost.
    from personalm.generation.likelihood import score  # noqa: PLC0415 - see above
    from personalm.generation.loading import load_model  # noqa: PLC0415 - see above
    from personalm.generation.packing import pack_model  # noqa: PLC0415 - see above
    from personalm.generation.torch_engine import TorchEngine  # noqa: PLC0415 - see above

    model = load_model(
        card, dtype=machine.network_dtype, device=machine.device, threads=machine.threads
    )
    pack_model(model, int8=machine.dtype == "int8")
    engine = TorchEngine(model, max_batch_tokens=machine.max_batch_tokens)
    return Voice(
        tokenizer=model.tokenizer,
        engine=engine,
        likelihood=lambda pairs: [target.logprob for target in score(model, pairs)],
    )


# What lies under a name may change while a process lives: the digest is a part of which one it is.
@lru_cache(maxsize=1)
def load_embedder(name: str, known_as: str) -> Embedder:
    """Return the embedder that a digest stands for.

    Raises ModelError where another one lies there by now.
    """
    if known_as == SCRIPTED:
        return ScriptedEmbedder()
    embedder = SentenceEmbedder(name)
    if embedder_digest(name) != known_as:
        raise ModelError(
            f"the embedder {name} has changed since this run began",
            remedy="Start again, so that all texts are measured by the one that lies there now.",
        )
    return embedder


def unload() -> None:
    """Forget the loaded models, so that their memory can be used otherwise."""
    load_voice.cache_clear()
    load_embedder.cache_clear()
    gc.collect()
