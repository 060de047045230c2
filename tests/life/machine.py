"""A state machine over the whole product: whatever happened before, the table is that of a dict.

Each rule is something that operators, users or disks do. After each rule all readers are asked.
What they see is compared with `World` and `predict`, which know nothing of how the product works.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from personalm import pipeline
from personalm.assembly import Assembly
from personalm.errors import (
    AccountingError,
    PersonalmError,
    StoreError,
)
from personalm.forecasting import forecast
from personalm.pipeline import open_run
from personalm.store.forgetting import forget
from personalm.store.store import Store
from tests.life.changes import Choosing, Coming, Going, Numbering, OptingOut, Wording
from tests.life.damage import damage, files_of
from tests.life.failing import FAULTS
from tests.life.sight import journalled_rows
from tests.life.watch import KEPT, Unfinished, Watched
from tests.life.world import (
    ASKS,
    KINDS,
    USERS,
    Asked,
    View,
    person,
    predict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.writing import WrittenUnit
    from tests.life.changes import Change
    from tests.life.damage import Manner

users = st.sampled_from(sorted(USERS))
some_users = st.sets(users, min_size=1, max_size=2).map(frozenset)
asks = st.sets(st.sampled_from(ASKS), max_size=3).map(frozenset)
editions = st.integers(0, 2)
steps = st.integers(1, 130)
faults = st.sampled_from(sorted(FAULTS))
whole = st.builds(Asked, retries=st.booleans(), prunes=st.booleans())
asked_of_a_run = whole | st.builds(Asked, users=some_users, retries=st.booleans())


nights = st.none() | st.just(Asked()) | asked_of_a_run
"""The run that comes after something, if one does at once."""

changes = st.one_of(
    st.builds(Coming, user_id=users, edition=editions, asks=asks),
    st.builds(Going, user_id=users),
    st.builds(OptingOut, user_id=users, opt_out=st.booleans()),
    st.builds(Choosing, model=st.integers(0, 1), seed=st.integers(0, 1)),
    st.builds(Numbering, number=st.integers(0, 2)),
)


_RECORDS = "_snapshots/*"


class Life(Watched):
    """One output folder, from the first run on."""

    @initialize(
        editions=st.dictionaries(users, editions, min_size=2, max_size=3),
        is_published=st.sampled_from([True, True, False]),
    )
    def begin(self, editions: dict[str, int], *, is_published: bool) -> None:
        """Begin with a few users, mostly after a first run."""
        for user_id, edition in sorted(editions.items()):
            self.world = self.world.with_person(person(user_id, edition, ASKS[:3]))
        if is_published:
            self.run(Asked())

    @rule(changes=st.lists(changes, min_size=1, max_size=3), night=nights)
    def change(self, changes: list[Change], night: Asked | None) -> None:
        """Let users come, write, ask, go and opt out; take another model and seed."""
        for each in changes:
            self.world = each(self.world)
        self.forgotten -= self.world.people.keys()
        self._pass(night)

    @rule(kind=st.sampled_from(KINDS), night=nights)
    def change_a_template(self, kind: str, night: Asked | None) -> None:
        """Word a prompt otherwise; the third time it is the first one again."""
        self.world = Wording(kind=kind, number=(self.world.templates[kind] + 1) % 3)(self.world)
        self._pass(night)

    @precondition(lambda self: self.live)
    @rule(number=st.integers(0, len(USERS) - 1), night=nights)
    def opt_out(self, number: int, night: Asked | None) -> None:
        """Let somebody opt out of whom something is published."""
        shown = sorted({user_id for user_id, _, _ in self.live} & self.world.people.keys())
        if shown:
            leave = OptingOut(user_id=shown[number % len(shown)], opt_out=True)
            self.world = leave(self.world)
        self._pass(night)

    @precondition(lambda self: not journalled_rows(self.output))
    @rule(ailing=st.sets(users, max_size=1).map(frozenset), night=nights)
    def ail(self, ailing: frozenset[str], night: Asked | None) -> None:
        """Let the engine fail for somebody, or for nobody any more.

        Not between a run and the one that goes on from it: a text that is there is there.
        """
        self.world = replace(self.world, ailing=ailing)
        self._pass(night)

    def _pass(self, night: Asked | None) -> None:
        """See that all is well so far, and let the next run come."""
        if night:
            self.the_laws_hold()
            self.run(night)

    # Runs.

    @rule(asked=asked_of_a_run)
    def run(self, asked: Asked) -> None:
        """Run to the end."""
        prediction = predict(self.world, self.live, asked)
        summary, engine = self.start(asked)
        self.check_run(prediction, summary, engine, asked)
        self.note_end_of_run(prediction.view, summary)

    @rule(max_requests=st.integers(0, 3), prunes=st.booleans())
    def run_a_little(self, max_requests: int, *, prunes: bool) -> None:
        """Write a few texts, and leave the rest for the next run."""
        asked = Asked(prunes=prunes)
        prediction = predict(self.world, self.live, asked)
        before, fingerprints = self.live, self.fingerprints()
        summary, _ = self.start(asked, max_requests=max_requests)
        after = self.fingerprints()
        written = {p for p in prediction.written if after.get(p) != fingerprints.get(p)}
        left = prediction.written.keys() - written
        view = {place: row for place, row in prediction.view.items() if place not in left}
        view |= {place: before[place] for place in left if place in before}
        counts = summary.counts
        assert len(written) == min(max_requests, len(prediction.written))
        assert counts.generated + counts.resumed == len(written)
        assert (counts.deferred, counts.withdrawn) == (len(left), prediction.counts.withdrawn)
        assert counts.is_balanced
        self.note_end_of_run(view, summary)

    @rule(asked=whole, fault=faults, step=steps, again=st.booleans())
    def run_into_a_fault(self, asked: Asked, fault: str, step: int, *, again: bool) -> None:
        """Run, and die, meet a disk that is full or bad, or be told to stop."""
        self._break_off(asked, fault, step)
        self._pass(asked if again else None)

    def _break_off(self, asked: Asked, fault: str, step: int) -> None:
        """Run into a fault, and note what the next run has to find."""
        prediction = predict(self.world, self.live, asked)
        was_unfinished, was_journalled = self.unfinished, journalled_rows(self.output)
        self.unfinished, newest = None, self.kept()[-1:]
        has_ended = self.strike(fault, step, lambda: self.start(asked), prediction.view)
        if has_ended or self.kept()[-1:] != newest:
            assert self.live == prediction.view
            return
        now = Unfinished(
            world=self.world,
            asked=asked,
            live=self.live,
            num_journalled=journalled_rows(self.output),
        )
        is_alone = not was_journalled or (
            was_unfinished is not None
            and replace(was_unfinished, num_journalled=0) == replace(now, num_journalled=0)
        )
        if is_alone:
            self.unfinished = now

    @precondition(lambda self: self.live)
    @rule()
    def look_ahead(self) -> None:
        """Forecast: it says what a run would do, and changes nothing."""
        before = self.bytes_of()
        with self.models():
            expected = forecast(self.settings())
        assert self.bytes_of() == before
        counts = predict(self.world, self.live, Asked()).counts
        assert expected.counts.generated == counts.generated
        names = ("requests", "unchanged", "opted_out", "withdrawn", "orphaned")
        assert [getattr(expected.counts, n) for n in names] == [getattr(counts, n) for n in names]

    @rule()
    def run_beside_a_run(self) -> None:
        """Run: whatever is started beside it is refused, and changes nothing."""
        prediction = predict(self.world, self.live, Asked())
        with self.models() as engine, open_run(self.settings()) as opened:
            before = self.bytes_of()
            store = Store.require(self.output)
            self.refuse(lambda: pipeline.run(self.settings(seed=7)))
            self.refuse(lambda: forget(self.output, sorted(USERS)))
            self.refuse(lambda: store.lock().__enter__())
            assert self.bytes_of() == before, "a command that is refused changes something"
            summary = opened.publish([opened.write_bucket(b) for b in opened.buckets])
        self.check_run(prediction, summary, engine, Asked())
        self.note_end_of_run(prediction.view, summary)

    @rule(has_other_seed=st.booleans())
    def run_without_the_lock(self, *, has_other_seed: bool) -> None:
        """Delete the lock by hand: of two runs that get through, one publishes at the most."""
        other = replace(self.world, seed=1 - self.world.seed) if has_other_seed else self.world
        prediction = predict(other, self.live, Asked())
        with self.models(), open_run(self.settings()) as opened:
            reports = [opened.write_bucket(bucket) for bucket in opened.buckets]
            (self.output / "_lock").unlink(missing_ok=True)
            with self.models(other):
                second = pipeline.run(self.settings(seed=other.seed))
            first = None
            with suppress(StoreError):
                first = opened.publish(reports).snapshot
            assert first in {None, second.snapshot}, "two runs have published"
        assert second.counts.is_balanced
        self.note_end_of_run(prediction.view, None)

    @rule()
    def lose_an_outcome(self) -> None:
        """Lose a text on its way, under another seed: the run says so, and publishes nothing."""
        self.world = replace(self.world, seed=1 - self.world.seed)
        write = Assembly.write

        def losing(self: Assembly, units: Any, **notes: Any) -> Iterator[WrittenUnit]:
            for written in write(self, units, **notes):
                object.__setattr__(written, "outcomes", written.outcomes[1:])
                yield written

        with patch.object(Assembly, "write", losing):
            prediction = predict(self.world, self.live, Asked())
            try:
                summary, _ = self.start(Asked())
            except AccountingError:
                self.note_failure()
                self.unfinished = None
                return
        # All there was to write was in the journal already, or nobody asks for anything.
        assert summary.counts.generated == 0, "a lost text is not missed"
        self.note_end_of_run(prediction.view, summary)

    # Commands on the folder.

    @precondition(lambda self: self.live)
    @rule(
        user_ids=some_users,
        stay=st.booleans(),
        fault=st.none() | faults,
        step=st.integers(1, 60),
    )
    def forget(self, user_ids: frozenset[str], fault: str | None, step: int, *, stay: bool) -> None:
        """Forget users; they stay in the inputs as opted out, or go there too."""
        after = {place: row for place, row in self.live.items() if place[0] not in user_ids}
        self.unfinished = None
        if fault:
            self.strike(fault, step, lambda: forget(self.output, user_ids), after)
        forget(self.output, sorted(user_ids))
        for user_id in sorted(user_ids & self.world.people.keys()):
            known = self.world.people[user_id]
            self.world = (
                self.world.with_person(replace(known, opt_out=True))
                if stay
                else self.world.without(user_id)
            )
        self.see_nothing_of(user_ids)
        self.forgotten |= user_ids - self.world.people.keys()
        for number in self.views.keys() & set(self.kept()):
            assert not {place[0] for place in self.views[number]} & user_ids
        self.note_end(after)

    @precondition(lambda self: self.live)
    @rule(back=st.integers(0, KEPT - 1), night=nights)
    def roll_back(self, back: int, night: Asked | None) -> None:
        """Let readers see an older snapshot again."""
        kept = self.kept()
        number = kept[max(0, len(kept) - 1 - back)]
        store = Store.require(self.output)
        with store.lock():
            store.rollback(number)
        self.note_end(self.views[number])
        self._pass(night)

    @precondition(lambda self: self.live)
    @rule(keep=st.integers(1, 3), fault=st.none() | faults, step=st.integers(1, 40))
    def vacuum(self, keep: int, fault: str | None, step: int) -> None:
        """Make room."""
        store = Store.require(self.output)

        def work() -> None:
            with store.lock():
                store.vacuum(keep=keep)

        if fault:
            self.strike(fault, step, work, self.live)
        work()
        assert len(self.kept()) <= keep
        self.note_end(self.live)

    @precondition(lambda self: self.output.exists())
    @rule(
        pattern=st.sampled_from([_RECORDS, _RECORDS, "_data/*/*", "_runs/*/**/*", "*"]),
        number=st.integers(0, 1 << 10),
        manner=st.sampled_from(["flip", "flip", "truncate", "delete"]),
        place=st.integers(0, 999),
        then=st.sampled_from(["run", "vacuum", "nothing"]),
    )
    def damage(self, pattern: str, number: int, manner: Manner, place: int, then: str) -> None:
        """Damage a file: it is found, or does no harm; then it is put right by hand."""
        files, needed = files_of(self.output, pattern), self.needed()
        files = files or files_of(self.output, _RECORDS)
        if not files:
            return
        done = damage(files[number % len(files)], manner, place / 1000)
        is_needed = done.path in needed
        # An empty record is one that was never filled: what it held is gone, as in a rollback.
        takes_away = is_needed and not done.after and not done.path.match("_data/*/*")
        if not takes_away:
            self.find_damage(done, is_needed=is_needed)
        after = None if takes_away else self._go_on(then)
        if takes_away or (done.is_there and (done.after or done.path in self.needed())):
            done.repair()
        if after is not None:
            self.live, self.shown = after, (*self.shown, after)
            self.note_snapshot(after)
        self.unfinished, self.is_quiet, self.has_news = None, False, True

    def _go_on(self, then: str) -> View | None:
        """Run or tidy beside a damaged file; return what must be seen, `None` where it failed."""
        prediction = predict(self.world, self.live, Asked())
        try:
            if then == "run":
                self.start(Asked())
                return prediction.view
            if then == "vacuum":
                store = Store.require(self.output)
                with store.lock():
                    store.vacuum(keep=KEPT)
        except PersonalmError:
            return None
        return self.live
