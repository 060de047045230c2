"""Outputs: what was written for the people of an evaluation, drawn once and kept.

A unit of one person and condition is one Parquet file, named after the fingerprints of its tasks:
another model, template, setting or history is another name. A second call draws what is missing,
and what it has no use for goes.
The files hold personal texts and are the owner's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from personalm.discreet import Discreet
from personalm.evaluation.conditions import Condition
from personalm.hashing import digest
from personalm.records import Unit
from personalm.store.evaluations import SCHEMA, names_of_texts
from personalm.store.files import LocalFiles
from personalm.store.parquet import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from personalm.records import Task
    from personalm.writing import WrittenUnit

# These are dropped by comparison with the other candidates, not for what they are.
_COMPARED = frozenset({"unlikely", "duplicate"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Output(Discreet):
    """One text that was written under a condition, None where all candidates were refused.

    `passed` are the candidates that no gate refused, in the order in which they were drawn.
    """

    user_id: str
    condition: Condition
    kind: str
    subject_id: str
    subject: str
    text: str | None
    prompt: str
    passed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Job(Discreet):
    """The texts of one person under one condition; `shown_id` is whose profile the prompts show."""

    condition: Condition
    tasks: tuple[Task, ...]
    shown_id: str

    @property
    def name(self) -> str:
        """Name of the file; it follows from all that decides the texts."""
        prints = [[task.request.user_id, task.fingerprint] for task in self.tasks]
        return f"{self.condition}-{digest([self.shown_id, prints])[:24]}"


class OutputFolder:
    """The outputs of an evaluation on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = LocalFiles()
        self._asked: set[str] = set()

    def has(self, job: Job) -> bool:
        """Tell whether the texts of a job were drawn before."""
        return self._path(job).is_file()

    def drop_others(self) -> None:
        """Remove the files of jobs that nobody has asked for: their users may be gone."""
        for name in names_of_texts(self._folder):
            if name not in self._asked:
                self._files.remove(self._folder / name)

    def read(self, job: Job) -> tuple[Output, ...]:
        """Return the texts of a job. Raises StoreDamagedError for a file that is none of ours."""
        path = self._path(job)
        rows = decode(self._files.read(path), path, schema=SCHEMA).to_pylist()
        return tuple(
            Output(
                user_id=row["user_id"],
                condition=Condition(row["condition"]),
                kind=row["kind"],
                subject_id=row["subject_id"],
                subject=row["subject"],
                text=row["text"],
                prompt=row["prompt"] or "",
                passed=tuple(
                    candidate["text"]
                    for candidate in row["candidates"]
                    if candidate["dropped_by"] is None or candidate["dropped_by"] in _COMPARED
                ),
            )
            for row in rows
        )

    def keep(self, job: Job, written: WrittenUnit) -> None:
        """Write the texts of a job."""
        table = pa.Table.from_pylist(list(_rows(job, written)), schema=SCHEMA)
        self._files.make_folder(self._folder, private=True)
        self._files.replace(self._path(job), encode(table))

    def _path(self, job: Job) -> Path:
        name = f"{job.name}.parquet"
        self._asked.add(name)
        return self._folder / name


def draw_outputs(
    jobs: Sequence[Job],
    folder: OutputFolder,
    *,
    write: Callable[[Iterable[Unit]], Iterator[WrittenUnit]],
    on_unit: Callable[[WrittenUnit], None],
) -> list[tuple[Output, ...]]:
    """Return the outputs of each job; those that were drawn before are read."""
    # The requests of a person have the same keys in every condition: one condition at a time.
    for condition in Condition:
        missing = {
            job.name: job for job in jobs if job.condition == condition and not folder.has(job)
        }
        units = [Unit(unit_id=name, bucket=0, tasks=job.tasks) for name, job in missing.items()]
        for written in write(units):
            folder.keep(missing[written.unit.unit_id], written)
            on_unit(written)
    return [folder.read(job) for job in jobs]


def _rows(job: Job, written: WrittenUnit) -> Iterator[dict[str, object]]:
    for task, outcome in zip(written.unit.tasks, written.outcomes, strict=True):
        draws = written.draws.get(task.request.key, ())
        yield {
            "user_id": task.request.user_id,
            "condition": job.condition.value,
            "kind": task.request.kind,
            "subject_id": task.request.subject_id,
            "subject": task.request.subject or "",
            "text": outcome.result.text if outcome.result else None,
            "reason": outcome.rejection.reason.value if outcome.rejection else None,
            "prompt": draws[0].prompt.text if draws else None,
            "candidates": [
                {"text": c.text, "dropped_by": c.dropped_by, "style_cosine": c.style_cosine}
                for c in outcome.candidates
            ],
            "shown_id": job.shown_id,
        }
