"""Where the time of a run goes: a stopwatch that the rooms' methods start and stop.

By the processor's time, other work on the machine does not show; by the clock, waiting does. Time
within one stage that another one takes is the other's alone, so that the stages and what is left
over add up to the whole.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REST = "rest"
GENERATE = "generate"
LOAD = "load the model"


class Stopwatch:
    """Seconds by stage."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._stages: list[str] = [REST]
        self._since = clock()

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count what is done within as time of this stage."""
        self._switch()
        self._stages.append(stage)
        try:
            yield
        finally:
            self._switch()
            self._stages.pop()

    def stop(self) -> dict[str, float]:
        """Return the seconds of each stage up to now."""
        self._switch()
        return dict(self.seconds)

    def watch(self, owner: Any, name: str, stage: str) -> None:  # noqa: ANN401 - a class or module
        """Count the calls of a function or method as time of a stage."""
        setattr(owner, name, self._timed(getattr(owner, name), stage))

    def watch_steps(self, owner: Any, name: str, stage: str) -> None:  # noqa: ANN401 - the same
        """Count the steps of what a function yields as time of a stage."""
        function = getattr(owner, name)

        @wraps(function)
        def steps(*args: object, **kwargs: object) -> Iterator[object]:
            iterator = iter(function(*args, **kwargs))
            step = self._timed(lambda: next(iterator, REST), stage)
            while (each := step()) is not REST:
                yield each

        setattr(owner, name, steps)

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: object, **kwargs: object) -> object:
            with self.at(stage):
                return function(*args, **kwargs)

        return timed

    def _switch(self) -> None:
        now = self._clock()
        self.seconds[self._stages[-1]] += now - self._since
        self._since = now


def watch_run(stopwatch: Stopwatch) -> None:
    """Let the stopwatch follow a run of this process from here on."""
    from personalm import intake, pipeline  # noqa: PLC0415 - its load is a part of what is timed
    from personalm.generation.scripted import ScriptedEngine  # noqa: PLC0415 - the same
    from personalm.inputs.spill import Spill  # noqa: PLC0415 - the same
    from personalm.planning.planner import Planner  # noqa: PLC0415 - the same
    from personalm.prompting.prompter import Prompter  # noqa: PLC0415 - the same
    from personalm.selection.selector import Selector  # noqa: PLC0415 - the same
    from personalm.store.journal import Journal  # noqa: PLC0415 - the same
    from personalm.store.store import Store  # noqa: PLC0415 - the same

    stopwatch.watch(intake, "spill", "read and spill")
    stopwatch.watch(pipeline, "make_missing", "impostor pool and leak index")
    stopwatch.watch_steps(Spill, "read", "read buckets")
    stopwatch.watch(Planner, "plan", "plan")
    stopwatch.watch(Prompter, "prompt", "prompt")
    stopwatch.watch(ScriptedEngine, "_draw", GENERATE)
    stopwatch.watch(Selector, "judge", "select")
    stopwatch.watch(Journal, "has", "journal")
    stopwatch.watch(Journal, "write", "journal")
    stopwatch.watch(Store, "publish", "publish")


def watch_models(stopwatch: Stopwatch) -> None:
    """Let the stopwatch follow real models beside the run."""
    from personalm import loaded  # noqa: PLC0415 - seconds
    from personalm.generation.torch_engine import TorchEngine  # noqa: PLC0415 - the same
    from personalm.selection.embedder import SentenceEmbedder  # noqa: PLC0415 - the same

    stopwatch.watch(loaded, "load_voice", LOAD)
    stopwatch.watch_steps(TorchEngine, "generate", GENERATE)
    stopwatch.watch(SentenceEmbedder, "encode", "embed")
