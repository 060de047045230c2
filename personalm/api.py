"""The notebook's door: texts for one user or a few, without a run and without a store.

The same planner and writer as a batch are used with the same configuration, so that a notebook
and a batch agree. Everything is synchronous; the model is loaded once a process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from personalm.assembly import Assembly
from personalm.discreet import Discreet
from personalm.errors import InputError
from personalm.generations import Generation, Generations
from personalm.hashing import subject_id_of
from personalm.inputs.given import read_given, read_text
from personalm.inputs.ids import canonical_id
from personalm.inputs.lookup import find_user
from personalm.inputs.texts import clean_text
from personalm.loaded import unload as forget_models
from personalm.records import (
    Outcome,
    Profile,
    Rejection,
    Request,
    Task,
    Unit,
    UserInputs,
)
from personalm.settings import load_settings
from personalm.stamps import Stamps, stamps_of
from personalm.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from personalm.settings import Settings

__all__ = ["Generation", "Generations", "generate_for", "generate_many", "read_results", "unload"]


def generate_for(
    user: object,
    kind: str = "post",
    *,
    subject: str | None = None,
    subject_id: object = None,
    instructions: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    model: str | None = None,
    config: str | Path | None = None,
    **overrides: object,
) -> Generation:
    """Write one text for one user.

    `user` is an id, found through the configuration's inputs; or a mapping with `user_id`,
    `texts` and any of `name`, `language`, `traits`; or a `Profile`. Texts that are handed over
    are cut as those of the tables are. What is `None` is as the configuration says. Without
    `subject` and `subject_id` the user's first request of this kind in the requests table is
    taken; without a table, a subject is chosen as a batch would. Where they name a request of the
    table, it is that one.
    Further settings go by their names: `generate_for(7, **{"generation.temperature": 0.6})`.

    Raises SettingsError, ModelError, TemplateError or InputError; an unknown user id is an
    InputError. A request that is rejected is a `Generation` without text.
    """
    return generate_many(
        [user],
        kind,
        subject=subject,
        subject_id=subject_id,
        instructions=instructions,
        n=n,
        seed=seed,
        model=model,
        config=config,
        **overrides,
    )[0]


def generate_many(
    users: Sequence[object],
    kind: str = "post",
    *,
    subject: str | None = None,
    subject_id: object = None,
    instructions: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    model: str | None = None,
    config: str | Path | None = None,
    **overrides: object,
) -> Generations:
    """Write one text for each user; the arguments are those of `generate_for`."""
    settings = load_settings(
        config, **{"generation.candidates": n, "seed": seed, "model": model, **overrides}
    )
    assembly = open_assembly(settings)
    assembly.require_kind(kind)
    most = settings.inputs.max_text_chars
    wish = _Wish(
        kind=kind,
        subject=_clean("subject", subject, most),
        subject_id=None if subject_id is None else canonical_id(subject_id),
        instructions=_clean("instructions", instructions, most),
    )
    plans = [_plan(assembly, find_user_inputs(user, settings), wish) for user in users]
    units = [_unit(number, p) for number, p in enumerate(plans) if isinstance(p, Task)]
    written = {w.unit.unit_id: w for w in assembly.write(units)}
    generations = []
    for number, plan in enumerate(plans):
        if isinstance(plan, Rejection):
            generations.append(Generation.of(Outcome(rejection=plan), prompt=None))
        else:
            done = written[str(number)]
            draws = done.draws.get(plan.request.key)
            prompt = draws[0].prompt.text if draws else None
            generations.append(Generation.of(done.outcomes[0], prompt=prompt))
    return Generations(tuple(generations))


def read_results(path: str | Path) -> pa.Table:
    """Return the live results of an output folder, one row a key."""
    from personalm.store.reading import read_table  # noqa: PLC0415 - pyarrow loads when needed

    return read_table(path, table="results")


def unload() -> None:
    """Forget the loaded models, so that their memory can be used otherwise."""
    _assemble_json.cache_clear()
    forget_models()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Wish(Discreet):
    """What the caller asks for, for whichever user."""

    kind: str
    subject: str | None
    subject_id: str | None
    instructions: str | None


@lru_cache(maxsize=4)
def _assemble_json(settings_json: str, digests: tuple[str, ...], _stamps: Stamps) -> Assembly:
    from personalm.settings import Settings  # noqa: PLC0415 - the annotation above needs none

    settings = Settings.model_validate_json(settings_json)
    assembly = Assembly(settings)
    store = Store.find(settings.output) if digests else None
    if store is not None:
        assembly.use(store.artefacts)
    return assembly


def open_assembly(settings: Settings) -> Assembly:
    """Return the rooms for some settings, with what lies on this machine by now.

    That is templates, models and items, and the artefacts of the output folder.
    """
    store = Store.find(settings.output)
    found = [store.artefacts.latest(name) for name in store.artefacts.names] if store else []
    digests = tuple(artefact.digest for artefact in found if artefact)
    return _assemble_json(settings.model_dump_json(), digests, stamps_of(settings))


def find_user_inputs(user: object, settings: Settings) -> UserInputs:
    """Return what is known of a user: an id, a mapping or a `Profile`. Raises InputError."""
    if isinstance(user, Mapping | Profile):
        return UserInputs(profile=read_given(user, settings.inputs))
    found = find_user(settings.inputs, user)
    if found is None:
        raise InputError(
            "no input table holds this user",
            remedy="Check the id, or hand over the user as a mapping with user_id and texts.",
        )
    return found


def _clean(name: str, value: object, max_chars: int) -> str | None:
    text = read_text(name, value)
    return None if text is None else clean_text(text, max_chars=max_chars)


def _plan(assembly: Assembly, user: UserInputs, wish: _Wish) -> Task | Rejection:
    request = _request(assembly, user, wish)
    if isinstance(request, Rejection):
        return request
    return assembly.planner.task_for(user, request)


def _request(assembly: Assembly, user: UserInputs, wish: _Wish) -> Request | Rejection:
    """Return the request of the table that is meant, with what the caller says of it, or a new one.

    A request of the same key is the same: its voice and its thread belong to it.
    """
    listed = [request for request in user.requests if request.kind == wish.kind]
    if wish.subject is None and wish.subject_id is None:
        request = listed[0] if listed else assembly.planner.derive(user, wish.kind)
    else:
        new = Request(
            user_id=user.profile.user_id,
            kind=wish.kind,
            subject_id=wish.subject_id or subject_id_of(wish.subject or "", wish.instructions),
        )
        request = next((found for found in listed if found.key == new.key), new)
    if isinstance(request, Rejection):
        return request
    return replace(
        request,
        subject=request.subject if wish.subject is None else wish.subject,
        instructions=request.instructions if wish.instructions is None else wish.instructions,
    )


def _unit(number: int, task: Task) -> Unit:
    """Make a unit of one task: its batch has the user alone, whoever else is asked for."""
    return Unit(unit_id=str(number), bucket=0, tasks=(task,))
