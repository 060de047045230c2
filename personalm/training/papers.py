"""The papers of a model: what was measured, how it was made, and its card."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from personalm.generation.adapters import PROVENANCE
from personalm.training.card import CardFacts, write_card
from personalm.training.leaks import LEAKS
from personalm.training.measures import summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.kinds import Kind
    from personalm.records import ModelCard
    from personalm.settings import Settings
    from personalm.training.checkpoints import Checkpoint
    from personalm.training.materials import Materials
    from personalm.training.measures import Losses

METRICS = "metrics.json"

SCRATCH_NAME = "a new GPT-2"

_PACKAGES = ("personalm", "torch", "transformers", "peft", "tokenizers", "safetensors")


def tell_metrics(
    materials: Materials, before: Losses, after: Losses, *, seed: int
) -> dict[str, Any]:
    """Return the measures of the held-out texts, before and after training.

    `perplexity` has `before` and `after`; `paired` is that of the trained model.
    """
    stages = {
        "before": summarise(before, materials.swaps, seed=seed),
        "after": summarise(after, materials.swaps, seed=seed),
    }
    return {
        "perplexity": {name: stage["perplexity"] for name, stage in stages.items()},
        "paired": stages["after"]["paired"],
        "paired_before": stages["before"]["paired"],
        "ngram_mix": {name: stage["ngram_mix"] for name, stage in stages.items()},
        "units": "perplexity: e to the nats a token; paired: nats a token; 95 % intervals",
        **stages,
    }


def tell_provenance(
    materials: Materials,
    *,
    settings: Settings,
    kinds: tuple[Kind, ...],
    card: ModelCard,
    best: Checkpoint,
    num_trained: int,
    command: str,
) -> dict[str, Any]:
    """Return what made a model: settings, seed, templates, base, counts, versions."""
    training = settings.training
    is_new = training.method == "scratch"
    return {
        "command": command,
        "method": training.method,
        "base": SCRATCH_NAME if is_new else card.name,
        "base_digest": card.digest,
        "seed": settings.seed,
        "templates": {kind.name: kind.digest for kind in kinds},
        "settings": {
            "training": training.model_dump(),
            "prompting": settings.prompting.model_dump(),
            **({"scratch": settings.scratch.model_dump()} if is_new else {}),
        },
        "counts": dict(materials.counts),
        "steps": best.step,
        "validation_losses": best.losses,
        "seconds": round(best.seconds, 1),
        "tokens_read": best.num_tokens,
        "weights_trained": num_trained,
        "versions": {name: _version(name) for name in _PACKAGES},
        "machine": f"{platform.machine()}, {settings.generation.device}",
    }


def write_papers(
    name: str,
    *,
    languages: tuple[str, ...],
    metrics: Mapping[str, Any],
    leaks: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> dict[str, bytes | Mapping[str, Any]]:
    """Return the files that go beside the weights."""
    card = write_card(
        CardFacts(
            name=name,
            base=provenance["base"],
            method=provenance["method"],
            languages=languages,
            metrics=metrics,
            leaks=leaks,
            provenance=provenance,
        )
    )
    return {METRICS: metrics, LEAKS: leaks, PROVENANCE: provenance, "README.md": card}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
