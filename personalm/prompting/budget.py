"""The budget: what is left out of a prompt until it fits the model's positions.

Fixed parts and the cue always stay. History goes first, whole texts, the least relevant first;
then earlier turns of the conversation, the oldest first; then the description of the item and the
subject are cut at the end of a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from personalm.discreet import Discreet
from personalm.prompting.cutting import cut_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from personalm.records import Turn

    TokenCounter: TypeAlias = Callable[[str], int]

_LEAST_TOKENS = 16  # a subject cut shorter than this says nothing any more


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Material(Discreet):
    """The parts of a prompt that may give way, the most relevant texts first.

    `num_trimmed` counts the history texts and turns that gave way, `num_cut_tokens` the tokens
    cut off the subject or the description.
    """

    subject: str = ""
    description: str = ""
    examples: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    thread: tuple[Turn, ...] = ()
    num_trimmed: int = 0
    num_cut_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Draft(Discreet):
    """A prompt rendered from some material."""

    material: Material
    text: str
    token_ids: tuple[int, ...]


def fit_draft(
    material: Material,
    *,
    room: int,
    write: Callable[[Material], Draft],
    num_tokens: TokenCounter,
) -> Draft | None:
    """Return the draft with as much of the material as fits into `room` tokens.

    None where even the fixed parts and the least of a subject do not fit.
    """
    shrunk: Material | None = material
    while shrunk is not None:
        draft = write(shrunk)
        num_over = len(draft.token_ids) - room
        if num_over <= 0:
            return draft
        shrunk = _shrink(shrunk, num_over, num_tokens)
    return None


def _shrink(material: Material, num_over: int, num_tokens: TokenCounter) -> Material | None:
    """Leave out about so many tokens more; None where nothing is left that may go."""
    if material.examples or material.samples or material.thread:
        return _drop_texts(material, num_over, num_tokens)
    if material.description:
        return _cut_description(material, num_over, num_tokens)
    subject = _cut(material.subject, num_over, num_tokens)
    if not subject:
        return None
    num_cut = num_tokens(material.subject) - num_tokens(subject)
    return replace(
        material, subject=subject, num_cut_tokens=material.num_cut_tokens + max(num_cut, 0)
    )


def _drop_texts(material: Material, num_over: int, num_tokens: TokenCounter) -> Material:
    """Drop whole texts, one at the least, until they make up for what is over."""
    examples, samples, thread = material.examples, material.samples, material.thread
    num_freed = num_dropped = 0
    while num_freed < num_over and (examples or samples or thread):
        if examples and len(examples) >= len(samples):
            *kept, dropped = examples
            examples = tuple(kept)
        elif samples:
            *kept, dropped = samples
            samples = tuple(kept)
        else:
            dropped, thread = thread[0].text, thread[1:]
        num_freed += num_tokens(dropped)
        num_dropped += 1
    return replace(
        material,
        examples=examples,
        samples=samples,
        thread=thread,
        num_trimmed=material.num_trimmed + num_dropped,
    )


def _cut_description(material: Material, num_over: int, num_tokens: TokenCounter) -> Material:
    kept = _cut(material.description, num_over, num_tokens)
    num_cut = num_tokens(material.description) - (num_tokens(kept) if kept else 0)
    return replace(
        material,
        description=kept,
        num_cut_tokens=material.num_cut_tokens + max(num_cut, 0),
    )


def _cut(text: str, num_over: int, num_tokens: TokenCounter) -> str:
    """Return the start of a text that has so many tokens less, nothing where too few are left."""
    num_all = num_tokens(text)
    num_kept = num_all - num_over
    if num_kept < _LEAST_TOKENS:
        return ""
    cut = cut_text(text, len(text) * num_kept // num_all)
    while cut and num_tokens(cut) > num_kept:
        cut = cut_text(cut, len(cut) * 9 // 10)
    return cut
