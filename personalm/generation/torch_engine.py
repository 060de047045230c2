"""The engine that runs a language model with torch.

A batch is cut into groups that fit the memory. The prompts of a group are read once each; then
every candidate becomes a row of its own, and a row leaves as soon as it ends. How keys and values
are kept is the decoding's business. The group's plan depends on the batch alone, never on what ran
before it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import torch

from personalm.discreet import Discreet
from personalm.errors import EngineError, is_of_a_row
from personalm.generation.decoding import shares_prefixes
from personalm.generation.drawing import Drawings, Group
from personalm.generation.engine import batches, candidate_numbers
from personalm.generation.memory import is_out_of_memory
from personalm.generation.noise import row_seeds
from personalm.generation.room import room_of
from personalm.generation.stopping import Row
from personalm.records import Draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from personalm.generation.loading import LoadedModel
    from personalm.records import Prompt, Sample

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Job(Discreet):
    """Some candidates of one prompt; `place` is the prompt's in its batch."""

    place: int
    prompt: Prompt
    token_ids: tuple[int, ...]
    numbers: Sequence[int]

    @property
    def num_head_tokens(self) -> int:
        """Tokens of the template's head; at least one token must be left to read."""
        return min(self.prompt.num_head_tokens, len(self.token_ids) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why a group did not run, without the exception: that would hold on to its tensors."""

    name: str
    is_memory: bool


class TorchEngine:
    """Draws candidates from a loaded model.

    `max_batch_tokens` is the largest number of positions that are kept at a time, by default what
    suits the device. `captures` says whether steps of fixed shapes are recorded and replayed: by
    default on a GPU.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        max_batch_tokens: int | None = None,
        captures: bool | None = None,
    ) -> None:
        self._model = model
        self._max_batch_tokens = max_batch_tokens or room_of(model)
        self._drawings = Drawings(model, max_positions=self._max_batch_tokens, captures=captures)

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Yield one draw for each prompt, batch after batch, in the order of the prompts."""
        for batch in batches(prompts):
            yield from self._run(batch)

    def _run(self, batch: tuple[Prompt, ...]) -> Iterator[Draw]:
        errors: dict[int, str] = {}
        samples: dict[int, dict[int, Sample]] = {}
        jobs = []
        for place, prompt in enumerate(batch):
            ids = prompt.token_ids or self._model.tokenizer.prefix_ids
            numbers = candidate_numbers(prompt)
            if (problem := self._problem(prompt, ids)) is not None:
                errors[place] = problem
            else:
                jobs.append(_Job(place=place, prompt=prompt, token_ids=ids, numbers=numbers))
        for group in self._plan(jobs):
            for job, outcome in self._serve(group):
                if isinstance(outcome, str):
                    errors[job.place] = outcome
                else:
                    samples.setdefault(job.place, {}).update(outcome)
        for place, prompt in enumerate(batch):
            yield _draw(prompt, samples.get(place, {}), errors.get(place))

    def _problem(self, prompt: Prompt, ids: tuple[int, ...]) -> str | None:
        """Return why a prompt may not run: some accelerators never recover from trying."""
        room, new = self._model.card.max_positions, prompt.sampling.max_new_tokens
        if not ids:
            return "the prompt is empty and the model has no start token"
        if new < 1 or len(ids) + new > room:
            return f"{len(ids)} prompt tokens and {new} new ones do not fit {room} positions"
        if min(ids) < 0 or max(ids) >= self._model.num_embeddings:
            return f"a token id is outside of the model's {self._model.num_embeddings} embeddings"
        return None

    def _plan(self, jobs: list[_Job]) -> Iterator[tuple[_Job, ...]]:
        """Cut a batch into groups: prompts of like length together, as many rows as allowed."""
        pieces = chain.from_iterable(self._split_candidates(job) for job in jobs)
        group: list[_Job] = []
        for job in sorted(pieces, key=lambda job: (len(job.token_ids), job.place)):
            longer = [*group, job]
            if group and self._num_cached(longer) > self._max_batch_tokens:
                yield tuple(group)
                longer = [job]
            group = longer
        if group:
            yield tuple(group)

    def _split_candidates(self, job: _Job) -> Iterator[_Job]:
        size = len(job.numbers)
        while size > 1 and self._num_cached([replace(job, numbers=range(size))]) > (
            self._max_batch_tokens
        ):
            size -= 1
        for start in range(0, len(job.numbers), size):
            yield replace(job, numbers=job.numbers[start : start + size])

    def _num_cached(self, group: Sequence[_Job]) -> int:
        """Return the positions whose keys and values a group keeps, at the most.

        Prompts that are shared have room for equally many rows each.
        """
        longest = max(len(job.token_ids) for job in group)
        new = max(job.prompt.sampling.max_new_tokens for job in group)
        if shares_prefixes(self._model):
            return len(group) * (longest + max(len(job.numbers) for job in group) * new)
        return sum(len(job.numbers) for job in group) * (longest + new)

    def _serve(self, group: tuple[_Job, ...]) -> Iterator[tuple[_Job, dict[int, Sample] | str]]:
        """Run a group; on failure run it in parts, down to the prompt or row that fails."""
        outcome = self._attempt(group)
        if not isinstance(outcome, _Failure):
            yield from zip(group, outcome, strict=True)
            return
        parts = _halves(group) if outcome.is_memory else tuple((job,) for job in group)
        if len(parts) == 1:
            _log.warning("a prompt failed: %s", outcome.name)
            yield group[0], f"the model failed: {outcome.name}"
            return
        _log.warning("%s in a group of %d prompts: running it in parts", outcome.name, len(group))
        if outcome.is_memory:
            self._drawings.release()
            if self._model.device.type == "cuda":
                torch.cuda.empty_cache()
        for part in parts:
            yield from self._serve(part)

    def _attempt(self, group: tuple[_Job, ...]) -> list[dict[int, Sample]] | _Failure:
        try:
            return self._decode(group)
        except torch.AcceleratorError as error:
            raise EngineError(
                f"the device {self._model.device} failed ({type(error).__name__})",
                remedy="Start again: units that are finished are kept.",
            ) from None
        except Exception as error:
            if not (is_out_of_memory(error) or is_of_a_row(error)):
                raise
            return _Failure(name=type(error).__name__, is_memory=is_out_of_memory(error))

    @torch.inference_mode()
    def _decode(self, jobs: tuple[_Job, ...]) -> list[dict[int, Sample]]:
        """Draw all candidates of a group; return the samples of each job by their numbers."""
        rows = [[self._row(job) for _ in job.numbers] for job in jobs]
        live = list(chain.from_iterable(rows))
        drawing = self._drawings.open(_group(jobs))
        while True:
            for row, steps in zip(live, drawing.draw(), strict=True):
                row.follow(steps)
            going = [i for i, row in enumerate(live) if not row.is_finished]
            if not going:
                break
            if len(going) < len(live):
                drawing.keep(going)
                live = [live[i] for i in going]
        return [
            {number: row.sample for number, row in zip(job.numbers, of_job, strict=True)}
            for job, of_job in zip(jobs, rows, strict=True)
        ]

    def _row(self, job: _Job) -> Row:
        return Row(
            tokenizer=self._model.tokenizer,
            sampling=job.prompt.sampling,
            end_ids=self._model.eos_ids,
        )


def _group(jobs: Sequence[_Job]) -> Group:
    seeds = [
        row_seeds(job.prompt.seed, job.prompt.key, job.prompt.draw, job.numbers) for job in jobs
    ]
    return Group(
        prompts=[job.token_ids for job in jobs],
        num_head_tokens=[job.num_head_tokens for job in jobs],
        owners=[place for place, job in enumerate(jobs) for _ in job.numbers],
        samplings=[job.prompt.sampling for job in jobs for _ in job.numbers],
        seeds=list(chain.from_iterable(seeds)),
    )


def _halves(group: tuple[_Job, ...]) -> tuple[tuple[_Job, ...], ...]:
    """Return two groups of half the rows, or the group alone where it is one row."""
    if len(group) > 1:
        middle = len(group) // 2
        return group[:middle], group[middle:]
    job = group[0]
    middle = len(job.numbers) // 2
    if not middle:
        return (group,)
    parts = job.numbers[:middle], job.numbers[middle:]
    return tuple((replace(job, numbers=part),) for part in parts)


def _draw(prompt: Prompt, samples: dict[int, Sample], error: str | None) -> Draw:
    ordered = tuple(samples[number] for number in sorted(samples))
    if error is None and all(sample.finish == "error" for sample in ordered):
        error = "the model's logits are not finite"
    return Draw(prompt=prompt, samples=() if error else ordered, error=error)
