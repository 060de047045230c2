"""Bases: the model that a training starts from, found by its name or made of the texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personalm import bundled
from personalm.disks import full_disk_of_libraries_in_words
from personalm.errors import TrainingError
from personalm.generation.models import inspect_model
from personalm.hashing import digest
from personalm.places import expand_home
from personalm.training.splits import Side, split_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.kinds import Kind
    from personalm.records import ModelCard
    from personalm.settings import Settings
    from personalm.training.corpus import Corpus
    from personalm.training.progress import TrainingProgress
    from personalm.training.workplace import Workplace


def settle_base(card: ModelCard) -> ModelCard:
    """Return a model as one to train from, a folder by its whole path.

    Raises TrainingError for an adapter.
    """
    if card.adapter:
        raise TrainingError(
            f"{card.adapter} is an adapter: nothing is learned on top of one",
            remedy=f"Start from its base: --model {card.name}.",
        )
    folder = expand_home(card.name)
    if card.name.startswith(bundled.PREFIX) or not folder.is_dir():
        return card
    # An adapter names it to whoever loads it, from wherever.
    return replace(card, name=str(folder.resolve()))


def make_base(
    corpus: Corpus,
    place: Workplace,
    *,
    settings: Settings,
    kinds: Sequence[Kind],
    progress: TrainingProgress,
) -> ModelCard:
    """Make a new GPT-2 in the workplace, once a training."""
    from personalm.training.scratch import make_gpt2  # noqa: PLC0415 - loads torch

    # Only what is learned makes the vocabulary: nothing is known of a test before it.
    learned = split_texts(corpus, settings.training)[0][Side.TRAIN]
    texts = [corpus.interaction(text).text for text in learned]
    texts += [kind.source for kind in kinds]
    wanted = digest([texts, settings.scratch.model_dump(), settings.seed])
    if not place.has_base(wanted):
        progress.note("making a new GPT-2 and its tokenizer")
        with full_disk_of_libraries_in_words(place.base):
            make_gpt2(place.base, texts, scratch=settings.scratch, seed=settings.seed)
        place.finish_base(wanted)
    return inspect_model(str(place.base), languages=corpus.languages)
