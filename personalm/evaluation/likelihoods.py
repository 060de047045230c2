"""How likely the model finds a user's real new texts after the user's own history.

No text is drawn for it, so it shows what the prompt alone does: another's history helps as well,
by telling what kind of text follows, and only own minus other is personal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from personalm.evaluation.conditions import Condition
from personalm.prompting.headline import headline_of
from personalm.records import Prompt, Task, UserInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from personalm.assembly import Assembly
    from personalm.evaluation.memo import Memo
    from personalm.evaluation.people import Person
    from personalm.loaded import Voice
    from personalm.records import Profile, Request

    Pair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
    Nats: TypeAlias = Mapping[Condition, NDArray[np.float64]]
    """Nats a token of each person's real texts under each condition."""

_MAX_TARGET_TOKENS = 200


class Likelihoods:
    """Asks the model that writes a kind; numbers it gave before are not asked for again."""

    def __init__(self, assembly: Assembly, memo: Memo, *, kind: str) -> None:
        self._assembly = assembly
        self._kind = kind
        self._memo = memo

    @property
    def are_known(self) -> bool:
        """Whether the model gives likelihoods at all; the fake for dry runs does not."""
        return self._voice.likelihood is not None

    @property
    def _voice(self) -> Voice:
        return self._assembly.voice_of(self._kind)

    def of_real_texts(
        self,
        people: Sequence[Person],
        profiles: Sequence[Mapping[Condition, Profile]],
        *,
        wish: Request,
        num_texts: int,
        on_person: Callable[[], None],
    ) -> Nats:
        """Return the nats a token of each person's newest held-out texts; NaN where none fit.

        A text counts where it fits in every condition: conditions are compared on the same texts.
        A topic is the headline of the text, in every condition alike.
        """
        found: dict[Condition, list[float]] = {condition: [] for condition in Condition}
        for person, shown in zip(people, profiles, strict=True):
            pairs = self._pairs(shown, person.held_out[-num_texts:], wish)
            for condition, of_condition in pairs.items():
                found[condition].append(self._nats_a_token(of_condition))
            on_person()
        return {condition: np.array(values) for condition, values in found.items()}

    def of_bare_texts(self, pools: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return the nats a token of each pool's texts, with nothing before them."""
        encode = self._voice.tokenizer.encode
        return np.array(
            [
                self._nats_a_token(
                    [((), tuple(encode(text))[:_MAX_TARGET_TOKENS]) for text in pool]
                )
                for pool in pools
            ]
        )

    def _nats_a_token(self, pairs: list[Pair]) -> float:
        likelihood = self._voice.likelihood
        num_tokens = sum(len(target) for _, target in pairs)
        if likelihood is None or not num_tokens:
            return float("nan")
        card = self._assembly.card.writer_of(self._kind)
        cause = [card.digest, self._assembly.settings.generation.dtype, pairs]
        return -sum(self._memo.recall(cause, lambda: likelihood(pairs))) / num_tokens

    def _pairs(
        self, shown: Mapping[Condition, Profile], texts: Sequence[str], wish: Request
    ) -> dict[Condition, list[Pair]]:
        """Return the pairs of each condition, of those texts that fit in all of them."""
        pairs: dict[Condition, list[Pair]] = {condition: [] for condition in Condition}
        for text in texts:
            of_text = {c: self._pair(shown[c], text, wish) for c in Condition}
            fitting = {c: pair for c, pair in of_text.items() if pair is not None}
            if len(fitting) == len(of_text):
                for condition, pair in fitting.items():
                    pairs[condition].append(pair)
        return pairs

    def _pair(self, profile: Profile, text: str, wish: Request) -> Pair | None:
        """Return a prompt and a real text as what follows it, None where they do not fit."""
        line = " ".join(text.split())
        subject = wish.subject if wish.item else headline_of(line) or wish.subject
        request = replace(wish, user_id=profile.user_id, subject=subject)
        task = self._assembly.planner.task_for(UserInputs(profile=profile), request)
        if not isinstance(task, Task):
            return None
        prompt = self._assembly.prompter.prompt(task, batch="")
        if not isinstance(prompt, Prompt):
            return None
        target = tuple(self._voice.tokenizer.encode(f" {line}"))[:_MAX_TARGET_TOKENS]
        fits = len(prompt.token_ids) + len(target) <= self._assembly.card.max_positions
        return (prompt.token_ids, target) if fits else None
