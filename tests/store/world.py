"""A small world around the store: outcomes, a run without inputs or models, and what readers see.

A text is a hash of its key and fingerprint, so that every test knows the right table.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow.parquet as pq

from personalm.accounts import Counts
from personalm.hashing import bucket_of, digest
from personalm.records import Candidate, Key, Outcome, Reason, Rejection, Result, Stage
from personalm.store.reading import read_table
from personalm.store.store import Store
from personalm.store.tidying import RETAINED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from personalm.store.files import LocalFiles
    from personalm.store.journal import Journal
    from personalm.store.snapshots import Snapshot

BUCKETS = 2

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders in it get names of their own

Wanted: TypeAlias = "Mapping[Key, str]"
"""Requests of a run: the fingerprint of each key."""

View: TypeAlias = dict[Key, tuple[str, str]]
"""What a reader sees: text or reason, and fingerprint of each key."""


@contextmanager
def new_output() -> Iterator[Path]:
    """Give an output folder that does not exist yet; it lies in memory where that is possible."""
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder).resolve() / "out"


def key_of(user_id: str, subject_id: str = "s") -> Key:
    """Return a key of a post."""
    return Key(user_id=user_id, kind="post", subject_id=subject_id)


def wanted(*users: str, version: str = "v1") -> dict[Key, str]:
    """Return one request a user."""
    return {key_of(user): version for user in users}


def text_of(key: Key, fingerprint: str) -> str:
    """Return the text that a run writes for a key."""
    return digest([key.user_id, key.kind, key.subject_id, fingerprint])


def is_rejected(key: Key, fingerprint: str) -> bool:
    """Say whether a run rejects a key: about one in four."""
    return text_of(key, fingerprint)[0] in "0123"


def outcome_of(key: Key, fingerprint: str) -> Outcome:
    """Return what a run makes of a key."""
    text = text_of(key, fingerprint)
    candidates = tuple(
        Candidate(number=n, text=f"{n} {text}", num_tokens=3, finish="stop", style_cosine=n / 3)
        for n in range(3)
    )
    if is_rejected(key, fingerprint):
        rejection = Rejection(
            key=key,
            request_id=None,
            stage=Stage.SELECTION,
            reason=Reason.ALL_CANDIDATES_DROPPED,
            message="3 candidates: copy 3",
            fingerprint=fingerprint,
        )
        dropped = tuple(replace(candidate, dropped_by="copy") for candidate in candidates)
        return Outcome(rejection=rejection, candidates=dropped)
    result = Result(
        key=key,
        request_id=f"r-{text[:4]}",
        text=text,
        style_score=None,
        own_mark=0.75,
        style_cosine=2 / 3,
        tier="5-19",
        language="en",
        chosen=2,
        num_candidates=3,
        model="scripted",
        adapter=None,
        template="post",
        prompt_hash=digest(text),
        num_trimmed=1,
        fingerprint=fingerprint,
        seed=7,
    )
    return Outcome(result=result, candidates=candidates)


def table_of(requests: Wanted) -> View:
    """Return what readers see after a run that served these requests and no others."""
    return {
        key: (
            Reason.ALL_CANDIDATES_DROPPED.value
            if is_rejected(key, fingerprint)
            else text_of(key, fingerprint),
            fingerprint,
        )
        for key, fingerprint in requests.items()
    }


class Plan:
    """What a run has to do in one output folder: units of two keys, by bucket."""

    def __init__(self, store: Store, requests: Wanted, withdrawn: Collection[str] = ()) -> None:
        self.units: dict[int, dict[str, list[Key]]] = {b: {} for b in range(store.num_buckets)}
        self.withdrawn: dict[int, frozenset[Key]] = {}
        self.num_unchanged = 0
        self.requests = requests
        for bucket, units in self.units.items():
            live = {key: row.fingerprint for key, row in store.live(bucket).items()}
            keys = [k for k in sorted(requests) if _bucket(store, k.user_id) == bucket]
            changed = [key for key in keys if live.get(key) != requests[key]]
            self.num_unchanged += len(keys) - len(changed)
            for start in range(0, len(changed), 2):
                part = changed[start : start + 2]
                name = digest([text_of(key, requests[key]) for key in part])[:16]
                units[f"{bucket:04d}-{name}"] = part
            gone = {key for key in live if key.user_id in withdrawn}
            if gone:
                self.withdrawn[bucket] = frozenset(gone)

    @property
    def unit_ids(self) -> dict[int, tuple[str, ...]]:
        """Units by bucket, as `publish` takes them."""
        return {bucket: tuple(units) for bucket, units in self.units.items()}

    @property
    def keys(self) -> list[Key]:
        """Keys of all units."""
        return [key for units in self.units.values() for keys in units.values() for key in keys]

    @property
    def counts(self) -> Counts:
        """What the run will count."""
        rejections = sum(is_rejected(key, self.requests[key]) for key in self.keys)
        return Counts(
            requests=len(self.keys) + self.num_unchanged,
            results=len(self.keys) - rejections,
            rejections=rejections,
            unchanged=self.num_unchanged,
        )

    def write(self, journal: Journal) -> int:
        """Journal what is missing; return the number of units that were written."""
        num_written = 0
        for units in self.units.values():
            for unit_id, keys in units.items():
                if not journal.has(unit_id):
                    outcomes = [outcome_of(key, self.requests[key]) for key in keys]
                    journal.write(unit_id, outcomes, expected=keys)
                    num_written += 1
        return num_written


def run(
    output: Path,
    requests: Wanted,
    *,
    withdrawn: Collection[str] = (),
    fingerprint: str = "m1",
    files: LocalFiles | None = None,
    buckets: int = BUCKETS,
) -> Snapshot | None:
    """Run once: lock, plan, journal, publish."""
    store = Store.open(output, buckets=buckets, files=files)
    with store.lock():
        journal = store.start_run(fingerprint)
        plan = Plan(store, requests, withdrawn)
        plan.write(journal)
        return publish(store, journal, plan)


def publish(store: Store, journal: Journal, plan: Plan) -> Snapshot | None:
    """Publish a plan that is journalled."""
    return store.publish(journal, units=plan.unit_ids, withdrawn=plan.withdrawn, counts=plan.counts)


def read_view(output: Path) -> View:
    """Return what our reader sees; a key that is there twice or lost its candidates is refused."""
    tables = {
        name: read_table(output, name).to_pylist()
        for name in ("results", "rejections", "candidates")
    }
    return _view(tables)


def read_latest(output: Path) -> View:
    """Return what a reader of plain Parquet sees that goes through `latest`."""
    latest = (output / "latest").resolve()
    assert len(list(latest.parent.iterdir())) <= RETAINED + 1
    tables = {
        name: [
            row
            for file in sorted((latest / name).glob("*.parquet"))
            for row in pq.ParquetFile(file).read().to_pylist()
        ]
        for name in ("results", "rejections", "candidates")
    }
    return _view(tables)


def _view(tables: Mapping[str, list[dict[str, Any]]]) -> View:
    rows = [(_key(r), (r["text"], r["fingerprint"])) for r in tables["results"]]
    rows += [(_key(r), (r["reason"], r["fingerprint"])) for r in tables["rejections"]]
    view = dict(rows)
    assert len(view) == len(rows), "a key is live twice"
    candidates = sorted((_key(row), row["number"]) for row in tables["candidates"])
    assert candidates == sorted((key, number) for key in view for number in range(3))
    return view


def _key(row: Mapping[str, Any]) -> Key:
    return Key(user_id=row["user_id"], kind=row["kind"], subject_id=row["subject_id"])


def _bucket(store: Store, user_id: str) -> int:
    return bucket_of(user_id, store.num_buckets)
