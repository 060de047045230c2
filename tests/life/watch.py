"""An output folder under watch: what commands are started on it, and what must be seen afterwards.

`Watched` keeps what readers must see, and asks all of them after each step of a history. Which
steps there are is said in `tests.life.machine`.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from hypothesis.stateful import RuleBasedStateMachine, invariant

from personalm import assembly, loaded, pipeline
from personalm.accounts import Counts, Scope
from personalm.errors import (
    PersonalmError,
    StoreLockedError,
)
from personalm.hashing import user_digest
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.settings import load_settings
from personalm.store import forgetting, journal
from personalm.store import store as store_module
from personalm.store.reading import status
from personalm.store.store import Store
from personalm.store.verify import find_leftovers, verify
from tests.life.failing import ENDS, failing
from tests.life.sight import find_traces, our_view, plain_view
from tests.life.world import (
    USERS,
    Asked,
    EchoEngine,
    Prediction,
    View,
    World,
)
from tests.population import write_population

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from personalm.pipeline import Summary
    from personalm.settings import Settings
    from tests.life.damage import Damage

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders in it get names of their own

KEPT = 4
"""Snapshots that a run leaves."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A run that broke off: what it read, what it was asked to do, texts in its journal."""

    world: World
    asked: Asked
    live: View
    num_journalled: int


class Watched(RuleBasedStateMachine):
    """One output folder, from the first run on."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None)).resolve()
        self.output = self.folder / "out"
        self.world = World()
        self.live: View = {}
        self.shown: tuple[View, ...] = ({},)
        """What a reader of `latest` may see: more than one after a run that broke off."""
        self.views: dict[int, View] = {}
        self.forgotten: set[str] = set()
        self.unfinished: Unfinished | None = None
        self.is_quiet = True
        """Whether the last command ended, and so has left nothing behind."""
        self.has_news = True
        self._stack = ExitStack()
        self._make_bytes_repeatable()
        (self.folder / "empty.toml").touch()

    def _make_bytes_repeatable(self) -> None:
        """Let names and times follow from what happened: a failing example fails again."""
        numbers = count(1)
        self._stack.enter_context(
            patch("secrets.token_hex", lambda size: f"{next(numbers):0{2 * size}x}")
        )

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain time
                return datetime(2025, 1, 1, tzinfo=tz) + timedelta(seconds=next(numbers))

        for module in (store_module, journal, forgetting):
            self._stack.enter_context(patch.object(module, "datetime", Clock))

    def teardown(self) -> None:
        """Leave nothing behind."""
        self._stack.close()
        shutil.rmtree(self.folder)

    @invariant()
    def the_laws_hold(self) -> None:
        """Ask all readers, wherever a command has done something since the last time."""
        if not self.has_news or not self.output.exists():
            return
        self.has_news = False
        self._see_what_is_predicted()
        self._see_no_strangers()
        self.see_nothing_of(self.forgotten)

    def _see_what_is_predicted(self) -> None:
        """Both kinds of readers; every file is as its record says; leftovers are gone in time."""
        assert our_view(self.output) == self.live
        if (self.output / "latest").exists():
            assert plain_view(self.output) in self.shown
        late = "does not lead to the files of snapshot"
        assert not [p for p in verify(self.output) if self.is_quiet or late not in p]
        if self.is_quiet:
            assert find_leftovers(self.output) == ()
            unfinished = [str(p.relative_to(self.output)) for p in self.output.rglob(".tmp-*")]
            # The journal of a run that broke off waits for the run that goes on from there.
            assert not [name for name in unfinished if not name.startswith("_runs/")]

    def _see_no_strangers(self) -> None:
        """See that a text, and each candidate of it, bears the mark of its user alone."""
        for (user_id, _, _), row in our_view(self.output).items():
            assert not row.words & set(USERS.values()) - {USERS[user_id]}

    def settings(self, **overrides: object) -> Settings:
        """Write the inputs and the templates of the world; return the settings of its runs."""
        templates = self.folder / "templates"
        templates.mkdir(exist_ok=True)
        for kind, source in self.world.sources.items():
            (templates / f"{kind}.j2").write_text(source, encoding="utf-8")
        people = self.world.asking
        given: dict[str, object] = {
            **write_population(self.folder / "in", people, has_requests=True),
            "seed": self.world.seed,
            "output": self.output,
            "templates_dir": templates,
            "selection.embedder": "scripted",
            "generation.unit_tokens": 80,
            "store.buckets": 2,
            "store.keep": KEPT,
        }
        return load_settings(self.folder / "empty.toml", **given | overrides)

    def models(self, world: World | None = None) -> _Models:
        """Put the engine of a world in place of every model."""
        return _Models(world or self.world)

    def start(self, asked: Asked, max_requests: int | None = None) -> tuple[Summary, EchoEngine]:
        """Run once."""
        scope = Scope(
            users=None if asked.users is None else frozenset(map(user_digest, asked.users)),
            retries_rejected=asked.retries,
            prunes=asked.prunes,
            max_requests=max_requests,
        )
        with self.models() as engine:
            return pipeline.run(self.settings(), scope=scope), engine

    def strike(self, fault: str, step: int, work: Callable[[], object], after: View) -> bool:
        """Do something that meets a fault; say whether it came to its end all the same."""
        before, newest = self.live, self.kept()[-1:]
        has_ended = False
        with failing(fault, step), suppress(*ENDS):
            work()
            has_ended = True
        self.live = before if self.kept()[-1:] == newest else after
        # One that ended may not have got rid of everything, but has shown what it made.
        self.shown = (after,) if has_ended else (before, after)
        self.note_snapshot(self.live)
        self.is_quiet, self.has_news = False, True
        return has_ended

    def check_run(
        self, prediction: Prediction, summary: Summary, engine: EchoEngine, asked: Asked
    ) -> None:
        """See that a run has counted what it had to, and has written that and nothing else."""
        counts = summary.counts
        assert counts.is_balanced
        found = replace(counts, generated=counts.generated + counts.resumed, resumed=0)
        assert found == prediction.counts, f"{found} and not {prediction.counts}"
        written = [(key.user_id, key.kind, key.subject_id) for key in engine.written]
        assert len(set(written)) == len(written), "a text is written twice"
        healthy = {place for place, row in prediction.written.items() if row.reason is None}
        assert set(written) <= healthy, "something is written that need not be"
        known = self.unfinished
        if known and (known.world, known.asked, known.live) == (self.world, asked, self.live):
            assert counts.resumed == known.num_journalled, "a text is written a second time"
        if asked.users is None:
            opted_out = {p.user_id for p in self.world.people.values() if p.opt_out}
            assert not {user_id for user_id, _, _ in our_view(self.output)} & opted_out

    def note_end_of_run(self, view: View, summary: Summary | None) -> None:
        """Note that a run has come to its end, and has left nothing unfinished."""
        kept = self.kept()
        assert len(kept) <= KEPT
        assert not list(self.output.glob("_runs/*"))
        if summary and summary.snapshot:
            assert summary.snapshot == kept[-1]
            assert Counts(**status(self.output)["run"]) == summary.counts
        self.unfinished = None
        self.note_end(view)

    def note_end(self, view: View) -> None:
        """Note that a command has come to its end: readers of all kinds see what it made."""
        self.live, self.shown = view, (view,)
        self.is_quiet, self.has_news = True, True
        self.note_snapshot(view)

    def note_failure(self) -> None:
        """Note that a command has failed: the table is as it was, and something may be left."""
        self.is_quiet, self.has_news = False, True

    def note_snapshot(self, view: View) -> None:
        """Note what there is to see in a snapshot that was made just now, if one was."""
        for number in self.kept():
            self.views.setdefault(number, view)

    def kept(self) -> list[int]:
        """Return the numbers of the kept snapshots, oldest first."""
        store = Store.find(self.output)
        return [snapshot.number for snapshot in store.snapshots] if store else []

    def fingerprints(self) -> dict[tuple[str, str, str], str]:
        """Return the fingerprint of each live row."""
        store = Store.find(self.output)
        if store is None:
            return {}
        return {
            (key.user_id, key.kind, key.subject_id): row.fingerprint
            for bucket in range(store.num_buckets)
            for key, row in store.live(bucket).items()
        }

    def refuse(self, work: Callable[[], object]) -> None:
        """See that a command is refused because a run is under way."""
        try:
            work()
        except StoreLockedError:
            return
        raise AssertionError("a second command is not refused")

    def bytes_of(self) -> dict[str, bytes]:
        """Return all that lies in the output folder."""
        return {
            str(path.relative_to(self.output)): path.read_bytes()
            for path in sorted(self.output.rglob("*"))
            if path.is_file()
        }

    def find_damage(self, done: Damage, *, is_needed: bool) -> None:
        """See that damage is found where a kept snapshot needs the file, and shown nowhere."""
        with suppress(PersonalmError):
            assert our_view(self.output) == self.live
        try:
            problems = verify(self.output)
        except PersonalmError:
            return
        assert problems or not is_needed, f"damage is not found: {done.path.name}"

    def needed(self) -> set[Path]:
        """Return the files without which a kept snapshot cannot be read."""
        store = Store.find(self.output)
        if store is None:
            return set()
        paths = {self.output / "_personalm.json"}
        for snapshot in store.snapshots:
            paths.add(self.output / "_snapshots" / f"{snapshot.number:08d}.json")
            paths |= {self.output / file.path for file in snapshot.files}
        return paths

    def see_nothing_of(self, user_ids: Any) -> None:
        """See that nothing is left of some users: neither ids nor texts, in any file."""
        words = {USERS[u] for u in user_ids} | set(user_ids) | {user_digest(u) for u in user_ids}
        if words and self.output.exists():
            assert not find_traces(self.output, words), "something is left of a forgotten user"


class _Models:
    """The engine of a world, in place of every model, for as long as the context lasts."""

    def __init__(self, world: World) -> None:
        self._engine = EchoEngine(world)
        voice = loaded.Voice(tokenizer=ByteTokenizer(), engine=self._engine)
        self._patches = (
            patch.object(assembly, "_inspect", lambda _: world.card),
            patch.object(loaded, "load_voice", lambda *_: voice),
        )

    def __enter__(self) -> EchoEngine:
        for each in self._patches:
            each.__enter__()
        return self._engine

    def __exit__(self, *_: object) -> None:
        for each in reversed(self._patches):
            each.__exit__(None, None, None)
