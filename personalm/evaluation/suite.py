"""The suite: people, prompts, outputs, judges and figures, in this order.

It reads the inputs of a run, and writes nothing but its own folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from personalm.assembly import Assembly
from personalm.common_artefacts import make_missing
from personalm.errors import SettingsError, faults_in_words
from personalm.evaluation.estimates import Estimate
from personalm.evaluation.outputs import OutputFolder
from personalm.evaluation.people import choose_people
from personalm.evaluation.session import Session
from personalm.evaluation.stage import Stage
from personalm.intake import num_buckets_of, read_inputs
from personalm.store.artefacts import Artefacts
from personalm.store.evaluations import COMMON, OUTPUTS
from personalm.store.layout import Layout
from personalm.store.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from personalm.evaluation.plan import Plan
    from personalm.evaluation.session import Metrics
    from personalm.inputs.spill import Spill
    from personalm.progress import Progress
    from personalm.records import Profile
    from personalm.settings import Settings


def evaluate(settings: Settings, folder: Path, *, plan: Plan, progress: Progress) -> Metrics:
    """Compare texts with their users and return every figure by name.

    Outputs and likelihoods are kept in `folder`; outputs that no figure is of go from it. Raises
    InputError where too few users have enough texts, SettingsError for a kind that cannot be
    compared, and whatever a run raises.
    """
    assembly = Assembly(settings)
    with (
        faults_in_words(),
        temporary_folder() as scratch,
        read_inputs(
            settings,
            scratch / "spill",
            num_buckets=num_buckets_of(settings),
            progress=progress,
        ) as spilled,
    ):
        company = choose_people(
            _users(spilled),
            voice_kinds=_voice_kinds(assembly),
            num_people=plan.num_people,
            min_texts=plan.min_texts,
        )
        progress.note(
            f"{len(company.people)} users are compared, texts of {len(company.background)} "
            f"others teach the judges, those of {len(company.impostors)} are the strangers"
        )
        stage = Stage(assembly, company, num_subjects=plan.num_subjects)
        if not plan.real_texts_only:
            # As a run has them, and kept with the texts: what they decide is not judged by them.
            artefacts = Artefacts(Layout.at(folder / COMMON))
            assembly.use(artefacts)
            make_missing(assembly, artefacts, spilled)
            artefacts.tidy()
        session = Session(
            assembly=assembly,
            stage=stage,
            company=company,
            plan=plan,
            progress=progress,
            folder=folder,
            outputs=OutputFolder(folder / OUTPUTS),
        )
        metrics = session.measure_real_texts()
        if not plan.real_texts_only:
            metrics |= session.measure_outputs(_users(spilled))
        if plan.compares_slots:
            metrics["slots"] = session.compare_slots()
        session.outputs.drop_others()
    return to_json(metrics)


def to_json(value: object) -> Metrics:
    """Return figures as plain numbers, lists and mappings."""
    plain = _plain(value)
    assert isinstance(plain, dict)  # noqa: S101 - a mapping stays one
    return plain


def _plain(value: object) -> object:
    if isinstance(value, Estimate):
        return value.to_json()
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _voice_kinds(assembly: Assembly) -> tuple[str, ...]:
    """Return the kinds of interactions that show the style, for what is to be written."""
    wanted = assembly.settings.kinds
    unknown = [name for name in wanted if name not in assembly.kinds]
    if unknown or not wanted:
        raise SettingsError(
            f"kinds: there is no template for {unknown[0]!r}" if unknown else "kinds names none",
            remedy=f"Known kinds are {', '.join(sorted(assembly.kinds))}.",
        )
    shown = (kind for name in wanted for kind in assembly.kinds[name].front.voice_kinds)
    return tuple(dict.fromkeys(shown))


def _users(spilled: Spill) -> Iterator[Profile]:
    for bucket in range(spilled.num_buckets):
        for user in spilled.read(bucket):
            yield user.profile
