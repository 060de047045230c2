"""When a row ends, and which text it leaves.

A row ends at an end token, at a stop string or at its limit of new tokens. The prompt never
counts. The text is what was drawn before the end token, cut before the first stop string.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

from personalm.discreet import Discreet
from personalm.records import FinishReason, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.generation.tokenizer import TextTokenizer
    from personalm.records import Sampling


@dataclass(slots=True, kw_only=True, repr=False)
class Row(Discreet):
    """One candidate while it grows, token by token."""

    tokenizer: TextTokenizer
    sampling: Sampling
    end_ids: frozenset[int]
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: FinishReason | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the row takes no more tokens."""
        return self.finish is not None

    def add(self, token_id: int, logprob: float = 0.0) -> None:
        """Take the next token, and how likely the model found it."""
        self.logprobs.append(logprob)
        if token_id in self.end_ids:
            self.finish = "end"
            return
        self.token_ids.append(token_id)
        if self._ends_in_stop():
            self.finish = "stop"
        elif len(self.token_ids) >= self.sampling.max_new_tokens:
            self.finish = "length"

    def follow(self, steps: Iterable[tuple[float, float, float]]) -> None:
        """Take steps until the row ends: each a token, whether it failed, its log-probability."""
        for token_id, is_failed, logprob in steps:
            if is_failed:
                self.fail()
            else:
                self.add(int(token_id), logprob)
            if self.is_finished:
                return

    def fail(self) -> None:
        """End the row without a text: the model gave it no usable logits."""
        self.finish = "error"

    @property
    def sample(self) -> Sample:
        """The finished candidate; `num_tokens` counts what was drawn, without the end token."""
        num_tokens = len(self.token_ids)
        if self.finish is None or self.finish == "error":
            return Sample(text="", num_tokens=num_tokens, finish="error")
        text = self.tokenizer.decode(self.token_ids)
        cut = cut_at_stop(text, self.sampling.stop)
        # A limit may fall inside a character of several bytes.
        whole = cut.rstrip("\ufffd") if self.finish == "length" else cut
        finish: FinishReason = "stop" if len(cut) < len(text) else self.finish
        # Rounded beyond what the shape of a batch changes.
        mean_logprob = round(fmean(self.logprobs), 3) if self.logprobs else None
        return Sample(text=whole, num_tokens=num_tokens, finish=finish, mean_logprob=mean_logprob)

    def _ends_in_stop(self) -> bool:
        """Look for a stop string in the last tokens, only where the newest may complete one."""
        stops = self.sampling.stop
        piece = self.tokenizer.piece(self.token_ids[-1])
        # A token alone may lose the space that it begins with, and nothing else.
        if not any(stop[-1] in piece or stop[-1] == " " or "\ufffd" in piece for stop in stops):
            return False
        window = 2 + max(len(stop.encode()) for stop in stops)
        recent = self.tokenizer.decode(self.token_ids[-window:])
        return any(stop in recent for stop in stops)


def cut_at_stop(text: str, stops: Iterable[str]) -> str:
    """Return the text before the first stop string in it."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else text
