"""Materials: all that a training reads, made of a corpus for one model."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from personalm.discreet import Discreet
from personalm.drawing import sampling_of
from personalm.errors import TrainingError
from personalm.hashing import digest
from personalm.prompting.prompter import Prompter
from personalm.training.canaries import draw_canaries, draw_references, plant, planted_examples
from personalm.training.examples import Ending, Example, ExampleMaker, check_kinds
from personalm.training.splits import Side, split_texts
from personalm.training.swaps import History, make_swaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from personalm.generation.loading import LoadedModel
    from personalm.kinds import Kind
    from personalm.planning.catalogue import Catalogue
    from personalm.settings import Settings
    from personalm.training.canaries import PlantedCanary
    from personalm.training.corpus import Corpus, Text
    from personalm.training.examples import TokenIds
    from personalm.training.swaps import Swap

_NO_LIMIT = {"method", "max_exposure", "max_extracted", "max_hours", "retrain_days"}
"""Settings that change no weight by a step: a training goes on where they are changed."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Materials(Discreet):
    """What is learned, what decides when to stop, what is measured, and who is learned from.

    Whoever decides when to stop has a hand in the weights, too: `learned_from` has the day (UTC) of
    the newest text of either, by user, None where none has a time.
    """

    examples: tuple[Example, ...]
    validation: tuple[Example, ...]
    swaps: tuple[Swap, ...]
    canaries: tuple[PlantedCanary, ...]
    learned_from: Mapping[str, date | None]
    counts: Mapping[str, int]

    def fingerprint(self, settings: Settings, base: str) -> str:
        """Return a digest of all that decides the weights: a training goes on under it alone."""
        examples = (*self.examples, *self.validation)
        learned = (ids for each in examples for ids in (each.prompt_ids, each.target_ids))
        return digest(
            {
                "base": base,
                "method": settings.training.method,
                "training": settings.training.model_dump(exclude=_NO_LIMIT),
                "seed": settings.seed,
                "dtype": settings.generation.dtype,
                "learned": _digest_ids(learned),
            }
        )

    def digest_measured(self, num_references: int) -> str:
        """Return a digest of all that is measured: figures are kept under it alone."""
        return digest([num_references, _digest_ids(self._measured_ids())])

    def _measured_ids(self) -> Iterator[TokenIds]:
        for swap in self.swaps:
            for history in History:
                example, past = swap.examples[history], swap.pasts.get(history, ())
                # How many follow: no row may be taken for one of another swap.
                yield from (example.prompt_ids, example.target_ids, (len(past),), *past)
        for each in self.canaries:
            yield from (each.example.prompt_ids, each.opening_ids, each.example.target_ids)
            yield (each.canary.num_repeats,)


def make_materials(
    corpus: Corpus,
    model: LoadedModel,
    *,
    settings: Settings,
    kinds: Mapping[str, Kind],
    trained: tuple[Kind, ...],
    catalogue: Catalogue,
) -> Materials:
    """Make examples, swaps and canaries. Raises TrainingError where too little is left."""
    training = settings.training
    instructions = settings.inputs.replies.instructions if settings.inputs.replies else None
    check_kinds(trained, instructions)
    max_tokens = min(model.card.max_positions, training.max_tokens)
    prompter = Prompter(
        kinds=kinds,
        prompting=settings.prompting,
        generation=settings.generation,
        tokenizer=model.tokenizer,
        max_positions=max_tokens,
        seed=settings.seed,
    )
    end_id = end_of(model)
    maker = ExampleMaker(
        corpus=corpus,
        kinds=kinds,
        catalogue=catalogue,
        prompts=prompter,
        tokenizer=model.tokenizer,
        endings={
            kind.name: Ending(
                end_id=end_id,
                max_tokens=sampling_of(kind.front, settings.generation).max_new_tokens,
            )
            for kind in trained
        },
        instructions=instructions,
    )
    sides, left_out = split_texts(corpus, training)
    examples = maker.make(sides[Side.TRAIN])
    counts = Counter({**corpus.counts, **left_out, **maker.counts})
    maker.counts.clear()
    validation = maker.make(_spread(sides[Side.VALIDATION], training.max_validated))
    swaps = make_swaps(
        maker, corpus, sides[Side.TEST], most=training.max_measured, seed=settings.seed
    )
    counts |= {
        "examples learned": len(examples),
        "tokens learned, prompts counted": sum(e.num_tokens for e in examples),
        "tokens of targets": sum(len(e.target_ids) for e in examples),
        "validation examples": len(validation),
        "test texts measured": len(swaps),
    }
    _check(examples, validation, swaps, counts=counts)
    canaries = plant(
        draw_canaries(training.canaries, seed=settings.seed),
        kind=trained[0],
        prompts=prompter,
        tokenizer=model.tokenizer,
        end_id=end_id,
        references=draw_references(training.num_references, seed=settings.seed),
        max_tokens=max_tokens,
    )
    counts |= {"examples of planted canaries": len(planted_examples(canaries))}
    return Materials(
        examples=(*examples, *planted_examples(canaries)),
        validation=validation,
        swaps=swaps,
        canaries=canaries,
        # Whoever decides when to stop has a hand in the weights, too.
        learned_from=_find_newest(corpus, (*sides[Side.TRAIN], *sides[Side.VALIDATION])),
        counts=dict(counts),
    )


def end_of(model: LoadedModel) -> int:
    """Return the token that ends a text: the one that the model's configuration names first."""
    named = model.network.config.eos_token_id
    ids = named if isinstance(named, list) else [named]
    ends = [each for each in (*ids, *sorted(model.eos_ids)) if isinstance(each, int)]
    if not ends:
        raise TrainingError(f"{model.card.name} names no token that ends a text")
    return ends[0]


def _digest_ids(rows: Iterable[TokenIds]) -> str:
    found = hashlib.sha256()
    for ids in rows:
        found.update(np.asarray([len(ids), *ids], np.int64).tobytes())
    return found.hexdigest()


def _find_newest(corpus: Corpus, texts: Iterable[Text]) -> dict[str, date | None]:
    """Return the day of the newest of the texts by each author's id."""
    newest: dict[str, date | None] = {}
    for text in texts:
        user_id, written = corpus.authors[text.author].user_id, corpus.interaction(text).created_at
        known = newest.setdefault(user_id, None)
        if written is not None:
            newest[user_id] = max(known or date.min, written.date())
    return newest


def _spread(texts: Iterable[Text], most: int) -> list[Text]:
    """Return so many texts, evenly from all of them."""
    every = list(texts)
    step = max(1.0, len(every) / most)
    return [every[int(at * step)] for at in range(min(most, len(every)))]


def _check(
    examples: Sequence[Example],
    validation: Sequence[Example],
    swaps: Sequence[Swap],
    *,
    counts: Mapping[str, int],
) -> None:
    have = {
        "examples to learn": len(examples),
        "validation examples": len(validation),
        "test texts with another user to compare with": len(swaps),
    }
    missing = [name for name, number in have.items() if not number]
    if missing:
        found = ", ".join(f"{number} {name}" for name, number in have.items())
        dropped = ", ".join(f"{number} {name}" for name, number in counts.items())
        raise TrainingError(
            f"too few texts: there are {found}; 1 of each is needed. Counted were: {dropped}",
            remedy="Users are measured who have 4 texts or more. Lower training.min_words, raise "
            "training.max_tokens, or name more interactions.",
        )
