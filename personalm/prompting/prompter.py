"""The prompter: turns a task into a prompt that fits the model, or says why it cannot.

A task is prompted alone: its prompt depends on no other task, and an error in it costs no other.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from personalm.drawing import num_candidates_of, sampling_of
from personalm.errors import TemplateError, is_of_a_row
from personalm.prompting.budget import Draft, Material, fit_draft
from personalm.prompting.context import build_context
from personalm.prompting.cutting import cut_text, fold_spaces
from personalm.prompting.renderer import Renderer
from personalm.prompting.retrieval import retrieve_texts
from personalm.prompting.samples import sample_newest, sample_styles
from personalm.records import Prompt, Reason, Rejection, Sampling, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personalm.kinds import Kind
    from personalm.prompting.tokenizer import Tokenizer
    from personalm.records import Profile, Task, Turn
    from personalm.settings import Generation, Prompting


_MAX_TURNS = 20
_MAX_QUERY_CHARS = 1_000
_CHARS_A_TOKEN = 16  # no text has more of them on average
_MAX_COUNTED_CHARS = 100_000


class Prompter:
    """Prompts tasks of all kinds for one model."""

    def __init__(
        self,
        *,
        kinds: Mapping[str, Kind],
        prompting: Prompting,
        generation: Generation,
        tokenizer: Tokenizer,
        max_positions: int,
        seed: int,
    ) -> None:
        """Compile the templates. Raises TemplateError for one that is broken."""
        self._kinds = kinds
        self._prompting = prompting
        self._generation = generation
        self._tokenizer = tokenizer
        self._max_positions = max_positions
        self._seed = seed
        self._renderer = Renderer(kinds)
        self._heads: dict[str, tuple[int, ...]] = {}

    def prompt(self, task: Task, *, batch: str) -> Prompt | Rejection:
        """Return the prompt of a task; `batch` names the fixed batch plan it belongs to."""
        front = self._kinds[task.request.kind].front
        sampling = sampling_of(front, self._generation)
        try:
            draft = self._draft(task, sampling)
        except TemplateError as error:
            return _reject(task, Reason.RENDER_FAILED, error.message)
        except Exception as error:
            if not is_of_a_row(error):
                raise
            message = f"prompting failed: {type(error).__name__}"
            return _reject(task, Reason.PROMPTING_FAILED, message)
        if draft is None:
            return _reject(task, Reason.NO_ROOM, self._describe_room(sampling))
        if not draft.token_ids:
            return _reject(
                task,
                Reason.RENDER_FAILED,
                "the prompt is empty, and the model has no token to start from",
            )
        return Prompt(
            key=task.request.key,
            text=draft.text,
            token_ids=draft.token_ids,
            sampling=sampling,
            num_candidates=num_candidates_of(front, self._generation),
            seed=self._seed,
            batch=batch,
            subject=draft.material.subject,
            shown=draft.material.samples + draft.material.examples,
            num_trimmed=draft.material.num_trimmed,
            num_cut_tokens=draft.material.num_cut_tokens,
            num_head_tokens=self._count_head_tokens(task.request.kind, draft.token_ids),
        )

    def _count_head_tokens(self, kind: str, token_ids: tuple[int, ...]) -> int:
        """Return how many tokens a prompt starts with that every prompt of its kind starts with.

        The last token of the head may be another one where text follows.
        """
        if kind not in self._heads:
            head = self._tokenizer.encode(self._renderer.head_of(kind))
            self._heads[kind] = (*self._tokenizer.prefix_ids, *head)
        pairs = zip(self._heads[kind], token_ids, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def _draft(self, task: Task, sampling: Sampling) -> Draft | None:
        tokenizer = self._tokenizer
        room = self._max_positions - sampling.max_new_tokens

        def write(material: Material) -> Draft:
            text = self._renderer.render(task.request.kind, build_context(task, material))
            token_ids = (*tokenizer.prefix_ids, *tokenizer.encode(text))
            return Draft(material=material, text=text, token_ids=token_ids)

        if room < 1:
            return None
        return fit_draft(
            self._gather(task, room), room=room, write=write, num_tokens=self._num_tokens
        )

    def _gather(self, task: Task, room: int) -> Material:
        """Find all that the template of a task can show."""
        shown = self._renderer.variables_of(task.request.kind)
        request = task.request
        whole = request.subject or ""
        max_chars = min(room * _CHARS_A_TOKEN, self._prompting.max_subject_chars or sys.maxsize)
        subject = cut_text(whole, max_chars) if whole else ""
        description = (request.item.description or "") if request.item else ""
        thread = _earlier_turns(task.thread, whole)
        known = {whole, *(turn.text for turn in task.thread)}
        examples, samples = self._choose_history(task, shown, known)
        return Material(
            subject=subject,
            description=cut_text(description, room * _CHARS_A_TOKEN) if "item" in shown else "",
            examples=examples,
            samples=samples,
            thread=tuple(replace(turn, text=self._clip(turn.text)) for turn in thread)
            if "thread" in shown
            else (),
            num_cut_tokens=self._num_tokens(whole[len(subject) :].strip()),
        )

    def _choose_history(
        self, task: Task, shown: frozenset[str], known: set[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return texts on the topic, and samples of the style; none that the prompt has anyway."""
        kinds = self._kinds[task.request.kind].front.voice_kinds
        own = _texts_of(task.voice, kinds, task.request.thread_id)
        texts = tuple(text for text in own if text not in known)
        examples: tuple[str, ...] = ()
        samples: tuple[str, ...] = ()
        if "examples" in shown:
            examples = retrieve_texts(texts, _query_of(task), self._prompting.num_topic_texts)
        if "samples" in shown:
            pick = sample_newest if self._prompting.style_texts == "recent" else sample_styles
            samples = pick(texts, self._prompting.num_style_texts, exclude=examples)
        return tuple(map(self._clip, examples)), tuple(map(self._clip, samples))

    def _clip(self, text: str) -> str:
        return cut_text(text.strip(), self._prompting.max_shown_chars)

    def _num_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text[:_MAX_COUNTED_CHARS])) if text else 0

    def _describe_room(self, sampling: Sampling) -> str:
        return (
            f"the prompt does not fit, even without history: the model has {self._max_positions}"
            f" positions, {sampling.max_new_tokens} of them are for the new text"
        )


def _texts_of(voice: Profile, kinds: tuple[str, ...], thread_id: str | None) -> tuple[str, ...]:
    """Return the voice's texts of these kinds of interactions, all where there are none.

    None are of the conversation itself: what was answered there is not to be known.
    """
    written = [
        i
        for i in voice.interactions
        if i.text.strip() and (not thread_id or i.thread_id != thread_id)
    ]
    chosen = tuple(i.text for i in written if i.kind in kinds)
    return chosen or tuple(i.text for i in written)


def _query_of(task: Task) -> str:
    item = task.request.item
    parts = [task.request.subject or ""]
    if item is not None:
        parts += [item.title, item.description or ""]
    return "\n".join(part[:_MAX_QUERY_CHARS] for part in parts)


def _earlier_turns(thread: tuple[Turn, ...], subject: str) -> tuple[Turn, ...]:
    """Return the newest turns, without one that is the subject itself."""
    folded = fold_spaces(subject)
    return tuple(turn for turn in thread[-_MAX_TURNS:] if fold_spaces(turn.text) != folded)


def _reject(task: Task, reason: Reason, message: str) -> Rejection:
    return Rejection(
        key=task.request.key,
        request_id=task.request.request_id,
        stage=Stage.PROMPTING,
        reason=reason,
        message=message,
        fingerprint=task.fingerprint,
        is_derived=task.request.is_derived,
    )
