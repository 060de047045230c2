"""The roster: who a model has learned from, as keyed hashes.

A roster tells whether somebody is in it to whoever knows the id, and lists nobody. The key lies
beside the hashes: it keeps rosters of two models from being joined and tables of ready hashes from
helping; it does not keep somebody with a list of likely ids from trying them all. Weights that are
trained on keep what they have learned, so a roster carries those of the models it was made of.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from personalm.discreet import Discreet
from personalm.errors import ModelError
from personalm.foreign import read_object
from personalm.generation.adapters import CONFIG, find_base, is_adapter
from personalm.generation.deadlines import MARK, read_deadline
from personalm.places import expand_home
from personalm.store.files import LocalFiles
from personalm.training.workplace import replaced_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
ROSTER = "training_users.json"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Roster(Discreet):
    """Keyed hashes of the users whose texts a model has learned from.

    `days` has the day (UTC) of the newest text that was learned of each, where it has one. `bases`
    are the rosters of the model it was trained from and of those before, each under its own key.
    """

    key: str
    hashes: frozenset[str]
    days: Mapping[str, date]
    bases: tuple[Roster, ...] = ()

    @classmethod
    def of(cls, newest: Mapping[str, date | None], *, base: Roster | None = None) -> Roster:
        """Make the roster of users and the days of their newest texts, under a key of its own.

        `base` is the roster of the model they were learned on top of.
        """
        key = secrets.token_hex(16)
        days = {_hash(key, user_id): day for user_id, day in newest.items()}
        return cls(
            key=key,
            hashes=frozenset(days),
            days={hashed: day for hashed, day in days.items() if day is not None},
            bases=(replace(base, bases=()), *base.bases) if base else (),
        )

    @classmethod
    def read(cls, folder: Path) -> Roster | None:
        """Read the roster of a model's folder; None where it has none. Raises ModelError."""
        path = folder / ROSTER
        if not path.is_file():
            return None
        values = read_object(path)
        bases = values.get("bases", [])
        if not (isinstance(bases, list) and all(isinstance(each, dict) for each in bases)):
            raise ModelError(f"{path} is no list of training users")
        own, *others = (_parse(each, path) for each in (values, *bases))
        return replace(own, bases=tuple(others))

    def holds(self, user_id: str) -> bool:
        """Say whether a user, by the canonical id, is in it or in one of its bases."""
        return any(_hash(each.key, user_id) in each.hashes for each in (self, *self.bases))

    def may_know(self, user_id: str, since: date | None) -> bool:
        """Say whether something may have been learned that a user wrote on a day or later.

        Where days are not known it may.
        """
        for each in (self, *self.bases):
            hashed = _hash(each.key, user_id)
            newest = each.days.get(hashed)
            if hashed in each.hashes and (newest is None or since is None or newest >= since):
                return True
        return False

    def to_json(self) -> bytes:
        """Return the roster as a file."""
        values: dict[str, Any] = {
            "method": "hex of HMAC-SHA256(key, canonical user id), first 32 letters",
            **_to_values(self),
            "bases": [_to_values(each) for each in self.bases],
        }
        return json.dumps(values, indent=1).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A model that has learned from some of the users asked for, and until when it may be used."""

    folder: Path
    num_users: int
    last_day: date


def list_users(newest: Mapping[str, date | None], *, base: Path) -> dict[str, bytes]:
    """Return the roster of a model that was trained from the one in a folder, as files.

    A mark of that one is on this one, too. Raises ModelError where one of them cannot be read.
    """
    papers = {ROSTER: Roster.of(newest, base=Roster.read(base)).to_json()}
    last_day = read_deadline(base)
    return papers | ({} if last_day is None else {MARK: _mark_of(last_day)})


def mark_models(
    places: Iterable[Path], user_ids: Iterable[str], *, retrain_days: int
) -> tuple[Holding, ...]:
    """Mark every model that holds one of some users as due for training; return them.

    A place is a model's folder, or a folder of such; the base of an adapter is asked, too. A mark
    keeps its first day: who is forgotten later does not prolong it. Raises ModelError for a roster
    that cannot be read.
    """
    ids = tuple(user_ids)
    holdings = []
    for folder in _find_models(places):
        roster = Roster.read(folder)
        num_users = sum(map(roster.holds, ids)) if roster else 0
        if not num_users:
            continue
        last_day = datetime.now(UTC).date() + timedelta(days=retrain_days)
        last_day = min(last_day, read_deadline(folder) or last_day)
        LocalFiles().replace(folder / MARK, _mark_of(last_day))
        holdings.append(Holding(folder=folder, num_users=num_users, last_day=last_day))
    return tuple(holdings)


def _find_models(places: Iterable[Path]) -> tuple[Path, ...]:
    found: dict[Path, Path] = {}
    for place in places:
        inner = (
            path.parent for name in (ROSTER, CONFIG) for path in sorted(place.glob(f"*/{name}"))
        )
        # A crash may have left the place's own model where it lies while it is replaced.
        for folder in (place, replaced_of(place), *inner):
            for model in (folder, *_bases_of(folder)):
                if (model / ROSTER).is_file():
                    found.setdefault(model.resolve(), model)
    return tuple(found.values())


def _bases_of(folder: Path) -> Iterator[Path]:
    """Return the base of an adapter where it is a folder; a bundled or hub model has no roster."""
    name = find_base(folder) if is_adapter(folder) else None
    if name and (base := expand_home(name)).is_dir():
        yield base


def _parse(values: Mapping[str, Any], path: Path) -> Roster:
    """Return the roster of one training. Raises ModelError."""
    key, hashes, days = values.get("key"), values.get("users"), values.get("newest", {})
    if not (isinstance(key, str) and isinstance(hashes, list) and isinstance(days, dict)):
        raise ModelError(f"{path} is no list of training users")
    try:
        known = {str(hashed): date.fromisoformat(str(day)) for hashed, day in days.items()}
    except ValueError:
        raise ModelError(f"{path} names a day that is none") from None
    return Roster(key=key, hashes=frozenset(map(str, hashes)), days=known)


def _to_values(roster: Roster) -> dict[str, Any]:
    return {
        "key": roster.key,
        "users": sorted(roster.hashes),
        "newest": {hashed: day.isoformat() for hashed, day in sorted(roster.days.items())},
    }


def _mark_of(last_day: date) -> bytes:
    return json.dumps({"last_day": str(last_day)}).encode()


def _hash(key: str, user_id: str) -> str:
    return hmac.new(bytes.fromhex(key), user_id.encode(), "sha256").hexdigest()[:32]
