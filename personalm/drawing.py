"""How the texts of a kind are drawn: the settings decide, then the kind's template."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from personalm.records import Sampling

if TYPE_CHECKING:
    from personalm.kinds import FrontMatter
    from personalm.settings import Generation

_T = TypeVar("_T")


def sampling_of(front: FrontMatter, generation: Generation) -> Sampling:
    """Return how tokens are drawn for a kind."""
    return Sampling(
        max_new_tokens=_pick(generation.max_new_tokens, front.max_new_tokens),
        temperature=_pick(generation.temperature, front.temperature),
        top_k=_pick(generation.top_k, front.top_k),
        top_p=_pick(generation.top_p, front.top_p),
        min_p=_pick(generation.min_p, front.min_p),
        repetition_penalty=_pick(generation.repetition_penalty, front.repetition_penalty),
        no_repeat_ngram=_pick(generation.no_repeat_ngram, front.no_repeat_ngram),
        stop=front.stop,
    )


def num_candidates_of(front: FrontMatter, generation: Generation) -> int:
    """Return how many candidates a request of a kind is given."""
    # Greedy drawing gives one text, however often it is asked.
    is_greedy = _pick(generation.temperature, front.temperature) == 0.0
    return 1 if is_greedy else _pick(generation.candidates, front.candidates)


def _pick(setting: _T | None, default: _T) -> _T:
    return default if setting is None else setting
