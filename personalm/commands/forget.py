"""`personalm forget`: erase people from an output folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from personalm.commands.arguments import Config, read_lines
from personalm.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.store.forgetting import TakeOut


def forget(
    output: Path,
    *users: str,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"])] = None,
    models: Annotated[tuple[Path, ...], Parameter(name=["--model", "-m"], negative=())] = (),
    config: Config = None,
) -> int:
    """Erase all that an output folder, or an evaluation, holds of some users.

    Old snapshots are erased too. Of an evaluation texts that were written with the users' texts
    go, and the figures about them.

    Everybody else's rows stay as they are. Nothing can be erased from weights: trained models that
    have learned from the users are named, and refused after some days (training.retrain_days);
    interrupted trainings there are cleared. Where the users are still in the inputs, the next run
    writes for them again: remove their rows there, or set `opt_out` in their profiles.

    Examples:
    - `personalm forget OUT u-maren u-hale`
    - `personalm forget OUT --file ids.txt --config personalm.toml`
    - `personalm forget OUT u-maren --model MODELS`
    - `personalm forget EVALUATION u-maren`

    Parameters
    ----------
    output
        Folder of the results, or of an evaluation.
    users
        Ids of the users.
    file
        File with one id a line.
    models
        Folder of a trained model, or of several; may be repeated.
    config
        TOML file with the settings: its inputs and its model are searched for the users, too.
    """
    from personalm.inputs.ids import canonical_id
    from personalm.store.evaluations import is_evaluation
    from personalm.store.temporary import clear_temporary

    named = [*users, *(read_lines(file) if file else ())]
    ids = tuple(dict.fromkeys(canonical_id(each) for each in named if each.strip()))
    if not ids:
        raise SettingsError("no user is named", remedy="Give ids, or a file: --file IDS.")
    if num_wide := sum(each != each.strip() for each in ids):
        print(f"{num_wide} of the ids begin or end with white space, which is a part of them")
    who = f"the {len(ids)} users named" if len(ids) > 1 else "the user named"
    (_forget_texts if is_evaluation(output) else _forget_results)(output, ids, who)
    if num_cleared := clear_temporary():
        print(f"cleared what {num_cleared} killed processes had left in the temporary folder")
    _mark_models(ids, models, config)
    print(_say_who_is_left(ids, config))
    return 0


def _forget_results(output: Path, ids: Sequence[str], who: str) -> None:
    """Erase users from an output folder, and say what went."""
    from personalm.store.forgetting import forget as erase

    erasure = erase(output, ids, take_out=_take_out())
    if erasure.is_empty:
        print(f"nothing of {who} is in {output}")
        return
    rows = ", ".join(f"{number} {table}" for table, number in erasure.num_rows.items())
    print(
        f"erased of {who}: {rows or 'no live rows'}; {erasure.num_snapshots} older snapshots, "
        f"{erasure.num_units} units of unfinished runs"
    )
    if erasure.artefacts or erasure.num_notes:
        names = [*erasure.artefacts, *(["notes"] if erasure.num_notes else ())]
        print(f"taken out of: {', '.join(names)}")
    if erasure.snapshot:
        print(f"snapshot {erasure.snapshot} published without them")


def _forget_texts(output: Path, ids: Sequence[str], who: str) -> None:
    """Remove what an evaluation holds of users, and say what went."""
    from personalm.store.evaluations import METRICS, PAGE, forget_in_evaluation

    removal = forget_in_evaluation(output, ids, take_out=_take_out())
    if not removal.num_files and not removal.artefacts:
        print(f"nothing of {who} is in {output}")
    if removal.num_files:
        print(
            f"removed {removal.num_files} files with texts for {who}, or with texts of theirs in "
            f"the prompts; {METRICS} and {PAGE}, which tell of them: evaluate again for new ones"
        )
    if removal.artefacts:
        print(f"taken out of: {', '.join(removal.artefacts)}")


def _take_out() -> dict[str, TakeOut]:
    """Return how users are taken out of what is made of all users together, by its name."""
    from personalm import leaks, strangers

    return {strangers.IMPOSTORS: strangers.take_out, leaks.LEAKS: leaks.take_out}


def _mark_models(ids: Sequence[str], named: Sequence[Path], config: Path | None) -> None:
    """Mark the trained models that hold forgotten users, and clear interrupted trainings."""
    from personalm.places import expand_home
    from personalm.settings import Training, load_settings
    from personalm.training.roster import mark_models
    from personalm.training.workplace import clear_interrupted, find_interrupted, replaced_of

    missing = [
        folder
        for folder in named
        if not (folder.is_dir() or replaced_of(folder).is_dir() or find_interrupted(folder))
    ]
    if missing:
        raise SettingsError(f"--model {missing[0]} is no folder")
    training, places = Training(), list(named)
    if config is not None:
        settings = load_settings(config)
        training = settings.training
        places.append(expand_home(settings.model))
    for holding in mark_models(places, ids, retrain_days=training.retrain_days):
        print(
            f"{holding.folder} has learned from {holding.num_users} of them: train it again "
            f"(personalm finetune); it is refused after {holding.last_day}"
        )
    # Last: one that is under way ends the command, and all else is done by then.
    for folder in clear_interrupted(places):
        print(f"{folder}, an interrupted training, is cleared: the same command begins anew")


def _say_who_is_left(ids: Sequence[str], config: Path | None) -> str:
    """Say whether the next run would write for forgotten users again, and what to do."""
    remedy = "remove their rows there, or set opt_out in their profiles"
    if config is None:
        return f"If they are still in the inputs, the next run writes for them again: {remedy}."
    from personalm.inputs.lookup import find_user
    from personalm.settings import load_settings

    inputs = load_settings(config).inputs
    found = [user for user in (find_user(inputs, each) for each in ids) if user is not None]
    num_served = sum(not user.profile.opt_out for user in found)
    if not found:
        return "The inputs hold nothing of them."
    if not num_served:
        return "The inputs still hold them, as opted out: no run writes for them."
    return (
        f"The inputs still hold {num_served} of them, and the next run writes for them again: "
        f"{remedy}."
    )
