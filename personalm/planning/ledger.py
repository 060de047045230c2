"""The ledger of one bucket: what becomes of each request, and of each live row.

It compares what was decided of the requests with the rows published so far. It decides nothing
about a text and knows no inputs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from personalm.accounts import EVERYTHING, Change, Label, LiveRow, Scope
from personalm.discreet import Discreet
from personalm.planning.fingerprints import find_change
from personalm.planning.units import order_tasks
from personalm.records import Key, Outcome, Rejection, Task, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Decided: TypeAlias = Task | Rejection


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(Discreet):
    """What is to be done for one bucket.

    num_requests = tasks of units + rejected + unchanged + opted_out; `num_deferred` requests more
    are left for another run. `withdrawn` are the keys of live rows that go: those of users who
    opted out, those of derived requests that are derived no more, and with `Scope.prunes` those
    that nobody asks for; without it the latter are `orphaned` and stay. `labels` are those of
    unchanged rows that answer another request than before. `changes` counts the tasks by kind and
    by why they are written.
    """

    bucket: int
    units: tuple[Unit, ...]
    rejected: tuple[Outcome, ...]
    unchanged: tuple[Key, ...]
    opted_out: tuple[Key, ...]
    withdrawn: frozenset[Key] = frozenset()
    orphaned: frozenset[Key] = frozenset()
    labels: Mapping[Key, Label] = field(default_factory=dict)
    num_deferred: int = 0
    changes: Mapping[tuple[str, Change], int] = field(default_factory=dict)

    @property
    def num_tasks(self) -> int:
        """Texts to write."""
        return sum(len(unit.tasks) for unit in self.units)

    @property
    def num_requests(self) -> int:
        """Requests of the bucket, whatever becomes of them."""
        return self.num_tasks + len(self.rejected) + len(self.unchanged) + len(self.opted_out)


class Ledger:
    """Enters one user after the other, and closes with the plan."""

    def __init__(
        self, live: Mapping[Key, LiveRow], *, scope: Scope = EVERYTHING, is_whole: bool = True
    ) -> None:
        """Take the live rows of the bucket; `is_whole` says that all of its users are entered."""
        self._live = live
        self._scope = scope
        self._is_whole = is_whole
        self._tasks: list[Task] = []
        self._changes: dict[Key, Change] = {}
        self._rejected: list[Outcome] = []
        self._unchanged: list[Key] = []
        self._labels: dict[Key, Label] = {}
        self._kept: set[Key] = set()
        self._opted_out: list[Key] = []
        self._refused_users: set[str] = set()
        self._users: set[str] = set()
        self._asked: set[Key] = set()
        self._derived: dict[tuple[str, str], Key] = {}

    def refuse(self, user_id: str, keys: Iterable[Key]) -> None:
        """Enter a user who opted out, and the requests that are not served therefore."""
        self._refused_users.add(user_id)
        self._opted_out.extend(keys)

    def enter(self, user_id: str, decided: Iterable[Decided]) -> None:
        """Enter a user with what was decided of every request."""
        self._users.add(user_id)
        for each in decided:
            request = each.request if isinstance(each, Task) else each
            key = request.key
            self._asked.add(key)
            if request.is_derived:
                self._derived[key.user_id, key.kind] = key
            change = self._find_change(each, key)
            if change is None:
                self._unchanged.append(key)
                if (label := Label.of(request)) != self._live[key].label:
                    self._labels[key] = label
            elif self._keeps_result(each, key):
                self._kept.add(key)
            elif isinstance(each, Task):
                self._tasks.append(each)
                self._changes[key] = change
            else:
                self._rejected.append(Outcome(rejection=each))

    def close(self, bucket: int, cut: Callable[[Sequence[Task]], tuple[Unit, ...]]) -> Plan:
        """Return the plan; `cut` makes units of the tasks."""
        ordered = order_tasks(self._tasks)
        taken = ordered[: self._scope.max_requests]
        deferred = {task.request.key for task in ordered[len(taken) :]} | self._kept
        changes = Counter((task.request.kind, self._changes[task.request.key]) for task in taken)
        withdrawn, orphaned = self._settle_live(deferred)
        return Plan(
            bucket=bucket,
            units=cut(taken),
            rejected=tuple(self._rejected),
            unchanged=tuple(self._unchanged),
            opted_out=tuple(self._opted_out),
            withdrawn=withdrawn,
            orphaned=orphaned,
            labels=self._labels,
            num_deferred=len(deferred),
            changes=changes,
        )

    def _find_change(self, decided: Decided, key: Key) -> Change | None:
        live = self._live.get(key)
        change = find_change(live, decided.fingerprint)
        # A request that planning itself rejects again is not worth another try.
        is_retried = isinstance(decided, Task) and live is not None and live.is_rejection
        if change is None and is_retried and self._scope.retries_rejected:
            return Change.RETRY
        return change

    def _keeps_result(self, decided: Decided, key: Key) -> bool:
        """Tell whether a result stays, because what it was written from was not read."""
        live = self._live.get(key)
        is_refused = isinstance(decided, Rejection)
        return self._scope.is_partial and is_refused and live is not None and not live.is_rejection

    def _settle_live(self, deferred: set[Key]) -> tuple[frozenset[Key], frozenset[Key]]:
        """Return the live rows to withdraw, and those that stay although nobody asks for them."""
        withdrawn, orphaned = set(), set()
        for key, row in self._live.items():
            if key.user_id in self._refused_users:
                withdrawn.add(key)
            elif key not in self._asked and (self._is_whole or key.user_id in self._users):
                successor = self._derived.get((key.user_id, key.kind))
                is_superseded = row.label.is_derived and successor is not None
                if not is_superseded:
                    orphaned.add(key)
                elif successor not in deferred:
                    withdrawn.add(key)
        if self._scope.prunes:
            return frozenset(withdrawn | orphaned), frozenset()
        return frozenset(withdrawn), frozenset(orphaned)
