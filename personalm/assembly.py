"""The rooms, opened and wired for one set of settings.

Models are loaded when the first text is written (`personalm.loaded`): a run that finds nothing to
do loads none.
"""

from __future__ import annotations

from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from personalm import loaded
from personalm.errors import SettingsError
from personalm.generation.models import inspect_model
from personalm.generation.routing import RoutingEngine
from personalm.hashing import digest
from personalm.inputs.items import read_items
from personalm.inputs.languages import detect_language
from personalm.kinds import Kind, load_kinds
from personalm.leaks import find_leaks
from personalm.loaded import SCRIPTED
from personalm.planning.catalogue import Catalogue
from personalm.planning.languages import normalise_language
from personalm.planning.planner import Planner
from personalm.prompting.prompter import Prompter
from personalm.records import ModelCard
from personalm.selection.embedder import (
    Embedder,
    NoEmbedder,
    embedder_digest,
)
from personalm.selection.safety_gates import Leak
from personalm.selection.selector import Selector
from personalm.selection.voices import NoNotes
from personalm.strangers import find_pool
from personalm.writing import Writer, WrittenUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from personalm.leaks import Leaks
    from personalm.records import Item, Unit
    from personalm.selection.voices import Notes
    from personalm.settings import Settings
    from personalm.store.artefacts import Artefacts
    from personalm.strangers import Pool

_NO_EMBEDDER = "none"
_FORESEEN = "another"


class Assembly:
    """Planner and writer for one set of settings.

    `pool` and `leaks` are those of the output folder, and have to be set before anything is
    planned; without them style scores and the gate of leaks abstain. `foresees_pool` plans as if
    there were a pool that nobody has made yet.
    """

    def __init__(self, settings: Settings, *, items: Sequence[Item] | None = None) -> None:
        """Read templates and model card; items that are given need not be read."""
        self.settings = settings
        self._items = items
        self.pool: Pool | None = None
        self.leaks: Leaks | None = None
        self.foresees_pool = False
        self.kinds: dict[str, Kind] = load_kinds(settings.templates_dir)
        self.card = _inspect(settings)

    def use(self, artefacts: Artefacts) -> None:
        """Take what an output folder holds of what is made of all users together."""
        self.pool = find_pool(artefacts, self.embedder_name)
        self.leaks = find_leaks(artefacts, self.settings.selection)

    def needs_leaks(self, *, has_requests: bool) -> bool:
        """Say whether a kind that may be asked for has the gate of the leak index."""
        asked = self.kinds if has_requests else self.settings.kinds
        return any(name in self._leaky_kinds for name in asked)

    def require_kind(self, kind: str) -> None:
        """Raise SettingsError for a kind without a template."""
        if kind not in self.kinds:
            known = ", ".join(sorted(self.kinds))
            raise SettingsError(f"unknown kind {kind!r}; known are {known}")

    @cached_property
    def _leaky_kinds(self) -> frozenset[str]:
        return frozenset(n for n, kind in self.kinds.items() if Leak.name in kind.front.gates)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items, from the inputs."""
        return Catalogue(read_items(self.settings.inputs) if self._items is None else self._items)

    @cached_property
    def detect_language(self) -> Callable[[tuple[str, ...]], str]:
        """What tells the language of a user's texts; the newest answer is kept."""
        known = self.settings.inputs.language
        detect = partial(detect_language, default=normalise_language(known) or known)
        return lru_cache(maxsize=1)(detect)

    @cached_property
    def planner(self) -> Planner:
        """What turns the inputs of users into units of tasks."""
        return Planner(
            kinds=self.kinds,
            derived_kinds=self.settings.kinds,
            catalogue=self.catalogue,
            model=self.card,
            settings=self.settings,
            settings_digest=self.settings_digest,
            detect_language=lambda texts: self.detect_language(tuple(texts)),
            editions=dict.fromkeys(self._leaky_kinds, self.leaks.edition) if self.leaks else None,
        )

    @cached_property
    def settings_digest(self) -> str:
        """Digest of the settings that change texts; where and how fast they are made does not."""
        edition = self.pool.edition if self.pool else None
        return digest([self._own_settings_digest, _FORESEEN if self.foresees_pool else edition])

    @cached_property
    def _own_settings_digest(self) -> str:
        settings = self.settings
        generation = settings.generation.model_dump(
            # Which model writes what is in the models' own part of a fingerprint.
            exclude={"device", "threads", "max_batch_tokens", "unit_tokens", "adapter_kinds"}
        )
        return digest(
            {
                "seed": settings.seed,
                "prompting": settings.prompting.model_dump(),
                "generation": generation,
                # Which embedder it is counts, and not where it lies.
                "selection": settings.selection.model_dump(exclude={"embedder"}),
                "embedder": self.embedder_name,
            }
        )

    @cached_property
    def embedder_name(self) -> str:
        """What tells the rows of the embedder from those of any other."""
        is_asked = self.settings.selection.scorer != "shape"
        return self._embedder_digest if is_asked else _NO_EMBEDDER

    @cached_property
    def _embedder_digest(self) -> str:
        name = self.settings.selection.embedder
        return SCRIPTED if name == SCRIPTED else embedder_digest(name)

    def open_embedder(self) -> Embedder:
        """Load the embedder, once a process."""
        return NoEmbedder() if self.embedder_name == _NO_EMBEDDER else self.embedder

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that changes texts but the inputs: a run is resumed under it alone.

        The pool is none of it: it may be made of the inputs of the run that it belongs to.
        """
        kinds = {
            name: [kind.digest, self.card.writer_of(name).digest]
            for name, kind in self.kinds.items()
        }
        return digest([self._own_settings_digest, self.card.digest, kinds])

    def write(self, units: Iterable[Unit], *, notes: Notes | None = None) -> Iterator[WrittenUnit]:
        """Write units; the models are loaded with the first one.

        `notes` keep what is learnt about the users of the units.
        """
        for first in (units := iter(units)):
            self.selector.voices.notes = notes or NoNotes()
            yield from self.writer.write(chain([first], units))

    @cached_property
    def selector(self) -> Selector:
        """What judges candidates; loads the embedder when it is first needed."""
        return Selector(
            embedder=self.open_embedder,
            kinds=self.kinds,
            selection=self.settings.selection,
            impostors=self.pool.impostors if self.pool else None,
            embedder_name=self.embedder_name,
            leaks=self.leaks.index if self.leaks else None,
        )

    @cached_property
    def writer(self) -> Writer:
        """What turns units of tasks into texts; loads the models."""
        settings = self.settings
        return Writer(
            prompter=self.prompter,
            engine=RoutingEngine(lambda kind: self.voice_of(kind).engine),
            selector=self.selector,
            card=self.card,
            max_draws=settings.generation.max_draws,
        )

    @cached_property
    def prompter(self) -> Prompter:
        """What turns tasks into prompts; loads the language model for its tokenizer."""
        return Prompter(
            kinds=self.kinds,
            prompting=self.settings.prompting,
            generation=self.settings.generation,
            # An adapter reads as its base does.
            tokenizer=self.voice.tokenizer,
            max_positions=self.card.max_positions,
            seed=self.settings.seed,
        )

    @property
    def voice(self) -> loaded.Voice:
        """The language model of the settings, loaded once a process."""
        return self._load(self.card)

    def voice_of(self, kind: str) -> loaded.Voice:
        """Return the language model that writes a kind, loaded once a process."""
        return self._load(self.card.writer_of(kind))

    def _load(self, card: ModelCard) -> loaded.Voice:
        return loaded.load_voice(card, self.settings.generation.machine)

    @property
    def embedder(self) -> Embedder:
        """The embedder of the settings, whether texts are chosen by it or not."""
        return loaded.load_embedder(self.settings.selection.embedder, self._embedder_digest)


def _inspect(settings: Settings) -> ModelCard:
    languages = settings.generation.languages
    if settings.model == SCRIPTED:
        return ModelCard(name=SCRIPTED, digest=SCRIPTED, max_positions=1 << 16, languages=languages)
    return inspect_model(
        settings.model, languages=languages, adapter_kinds=settings.generation.adapter_kinds
    )
