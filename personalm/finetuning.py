"""Fine-tuning: from the inputs to a published model, as one list of steps.

The workplace keeps what is done, so that the same command goes on after a crash: checkpoints of
the training, measures before it. Nothing is published that was not measured as a run will load it,
or that gives away more of the planted secrets than the settings allow.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personalm.assembly import Assembly
from personalm.errors import SettingsError, TrainingError, faults_in_words
from personalm.generation.models import find_folder, inspect_model
from personalm.holdout import MIN_TEXTS, spare_held_out
from personalm.intake import num_buckets_of, read_inputs
from personalm.loaded import SCRIPTED, unload
from personalm.progress import SilentProgress
from personalm.training.bases import make_base, settle_base
from personalm.training.checkpoints import Checkpoints
from personalm.training.corpus import gather_corpus
from personalm.training.progress import TrainingProgress
from personalm.training.refusals import nothing_left_in_vain
from personalm.training.roster import list_users
from personalm.training.workplace import BEFORE, Workplace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from personalm.generation.loading import LoadedModel
    from personalm.kinds import Kind
    from personalm.records import ModelCard, Profile
    from personalm.settings import Settings
    from personalm.store.files import LocalFiles
    from personalm.training.checkpoints import Checkpoint
    from personalm.training.corpus import Corpus
    from personalm.training.materials import Materials
    from personalm.training.measured import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a training: the folder, its measures and its leak report."""

    folder: Path
    metrics: Mapping[str, Any]
    leaks: Mapping[str, Any]


def finetune(
    settings: Settings,
    output: Path,
    *,
    replaces: bool = False,
    command: str = "",
    progress: TrainingProgress | None = None,
    files: LocalFiles | None = None,
) -> Trained:
    """Train a model on the inputs and publish it as a folder; nothing is there until it is whole.

    A training that was interrupted is resumed by the same call. Raises TrainingError where there
    is too little to learn, where the loss is no number, and where the model gives away too much.
    """
    progress = progress or TrainingProgress()
    unload()
    with (
        faults_in_words(),
        Workplace.open(output, replaces=replaces, files=files) as place,
        nothing_left_in_vain(place),
    ):
        job = _Job(settings, place, progress)
        job.read()
        job.prepare()
        best, num_trained = job.train()
        return job.publish(best, num_trained, replaces=replaces, command=command)


class _Reading(SilentProgress):
    """Says of the reading of inputs what is worth knowing."""

    def __init__(self, progress: TrainingProgress) -> None:
        self._progress = progress

    def note(self, line: str) -> None:
        """Pass the line on."""
        self._progress.note(line)


class _Job:
    """One training: its steps, each of which needs the one before."""

    corpus: Corpus
    card: ModelCard
    materials: Materials
    before: Measured

    def __init__(self, settings: Settings, place: Workplace, progress: TrainingProgress) -> None:
        self.settings = settings
        self.training = settings.training
        self.place = place
        self.progress = progress
        self.is_new = settings.training.method == "scratch"
        # A new model is made of the texts: none need be found before.
        told = settings.model_copy(update={"model": SCRIPTED}) if self.is_new else settings
        self.assembly = Assembly(told)
        self.kinds = self._find_kinds()

    def read(self) -> None:
        """Read the inputs into a corpus, and find the model to start from."""
        if not self.is_new:
            # First: what cannot be trained is known without the inputs.
            self.card = self._find_base()
        self.progress.note("reading the inputs")
        settings, num_buckets = self.settings, num_buckets_of(self.settings)
        with read_inputs(
            settings,
            self.place.spill,
            num_buckets=num_buckets,
            progress=_Reading(self.progress),
        ) as spilled:
            self.corpus = gather_corpus(
                (user for at in range(num_buckets) for user in spilled.read(at)),
                kinds=self.kinds,
                training=self.training,
                languages=settings.generation.languages or self.assembly.card.languages,
                detect_language=self.assembly.detect_language,
                seed=settings.seed,
                spare=self._spare if self.training.spares_held_out else None,
            )
        self.progress.note(_list(self.corpus.counts))
        if not self.corpus.texts:
            raise TrainingError(
                "there is no text to learn from",
                remedy="`personalm doctor` says what the inputs hold; training.kinds, "
                "training.min_words and generation.languages say what is learned.",
            )
        if self.is_new:
            self.card = make_base(
                self.corpus,
                self.place,
                settings=self.settings,
                kinds=self.kinds,
                progress=self.progress,
            )

    def prepare(self) -> None:
        """Make the examples, and measure the model before it learns; once a training."""
        from personalm.training.materials import make_materials  # noqa: PLC0415 - loads torch
        from personalm.training.measured import Measured  # noqa: PLC0415 - the same

        model = self._load(self.card)
        self.materials = make_materials(
            self.corpus,
            model,
            settings=self.settings,
            kinds=self.assembly.kinds,
            trained=self.kinds,
            catalogue=self.assembly.catalogue,
        )
        self.place.begin(self.materials.fingerprint(self.settings, self.card.digest))
        kept = self.place.read(BEFORE)
        # What is held out decides no weight: the training goes on where it has changed.
        measured = self.materials.digest_measured(self.training.num_references)
        if kept.get("of") == measured:
            self.before = Measured.from_json(kept)
            return
        self.progress.note(f"measuring {len(self.materials.swaps)} held-out texts before training")
        self.before = self._measure(model)
        self.place.write(BEFORE, {**self.before.to_json(), "of": measured})

    def train(self) -> tuple[Checkpoint, int]:
        """Train; return the best checkpoint and the number of weights that have learned."""
        from personalm.training.fitting import fit  # noqa: PLC0415 - loads torch
        from personalm.training.networks import open_trainee  # noqa: PLC0415 - the same

        settings, materials = self.settings, self.materials
        trainee = open_trainee(
            self.card, training=self.training, generation=settings.generation, seed=settings.seed
        )
        self.progress.note(
            f"{trainee.num_trained:,} of {trainee.num_weights:,} weights learn from "
            f"{len(materials.examples)} examples"
        )
        best = fit(
            trainee,
            examples=materials.examples,
            validation=materials.validation,
            training=self.training,
            seed=settings.seed,
            checkpoints=Checkpoints(self.place.checkpoints, self.place.files),
            progress=self.progress,
        )
        return best, trainee.num_trained

    def publish(
        self, best: Checkpoint, num_trained: int, *, replaces: bool, command: str
    ) -> Trained:
        """Measure the model as a run loads it; publish it, or say why not."""
        from personalm.training.leaks import judge_leaks  # noqa: PLC0415 - loads torch
        from personalm.training.papers import (  # noqa: PLC0415 - the same
            tell_metrics,
            tell_provenance,
            write_papers,
        )
        from personalm.training.publishing import finish_draft, publish  # noqa: PLC0415 - the same

        gc.collect()
        settings, place, materials = self.settings, self.place, self.materials
        self.progress.note("measuring what was learned, and what is given away")
        self._draft(best)
        languages = settings.generation.languages or self.card.languages or self.corpus.languages
        after = self._measure(self._load(inspect_model(str(place.draft), languages=languages)))
        metrics = tell_metrics(materials, self.before.losses, after.losses, seed=settings.seed)
        leaks = judge_leaks(place, self.before.canaries, after.canaries, self.training)
        provenance = tell_provenance(
            materials,
            settings=settings,
            kinds=self.kinds,
            card=self.card,
            best=best,
            num_trained=num_trained,
            command=command,
        )
        papers = write_papers(
            place.output.name,
            languages=languages,
            metrics=metrics,
            leaks=leaks,
            provenance=provenance,
        )
        papers |= list_users(materials.learned_from, base=find_folder(self.card.name))
        finish_draft(place, papers)
        # Once more as a run will find it: what is published can be used.
        inspect_model(str(place.draft))
        publish(place, replaces=replaces)
        place.clear()
        return Trained(folder=place.output, metrics=metrics, leaks=leaks)

    def _spare(self, user: Profile) -> Profile:
        """Return a user without what an evaluation holds out."""
        voice_kinds = sorted({name for kind in self.kinds for name in kind.front.voice_kinds})
        return spare_held_out(user, voice_kinds, min_texts=MIN_TEXTS)

    def _find_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds whose templates make the examples."""
        known = self.assembly.kinds
        names = self.training.kinds or self.settings.kinds
        unknown = [name for name in names if name not in known]
        if unknown:
            raise SettingsError(
                f"training.kinds: there is no template for {unknown[0]!r}",
                remedy=f"Known kinds are {', '.join(sorted(known))}.",
            )
        return tuple(known[name] for name in names)

    def _find_base(self) -> ModelCard:
        card = self.assembly.card
        if card.name == SCRIPTED:
            raise SettingsError("the scripted model has no weights: name another one")
        return settle_base(card)

    def _load(self, card: ModelCard) -> LoadedModel:
        from personalm.generation.loading import load_model  # noqa: PLC0415 - loads torch

        generation = self.settings.generation
        return load_model(
            card,
            dtype=generation.network_dtype,
            device=generation.device,
            threads=generation.threads,
        )

    def _measure(self, model: LoadedModel) -> Measured:
        from personalm.training.measured import Measured  # noqa: PLC0415 - loads torch

        return Measured.of(
            model,
            self.materials,
            num_references=self.training.num_references,
            seed=self.settings.seed,
        )

    def _draft(self, best: Checkpoint) -> None:
        from personalm.training.publishing import draft_adapter, draft_model  # noqa: PLC0415 - its like

        if self.training.method == "lora":
            draft_adapter(self.place, best, base=self.card.name)
        else:
            draft_model(self.place, best, base_folder=find_folder(self.card.name))


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
