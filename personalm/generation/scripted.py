"""An engine without a model: deterministic words for tests, dry runs and demonstrations.

The text of a candidate is drawn by hash of the prompt's text, the seed, the key, the draw and the
candidate number, so it changes when any of them does and never otherwise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personalm.generation.engine import batches, candidate_numbers
from personalm.generation.stopping import cut_at_stop
from personalm.hashing import digest
from personalm.records import Draw, FinishReason, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from personalm.records import Key, Prompt

_LEXICON = """
a again air all almost and any around at autumn back before bench better between book
boat bread bridge bright by calm chair clear close cloud coffee cold corner day deep door
early easy evening every far few field fine fire first for fresh friend from garden
gentle good green half harbour here hill home hour house in into it kettle kind lamp late
leaf letter light little long loud map market maybe mild more morning much music near
never new night north note often old on once one only open orchard over page paper past
path plain quiet rain ready river road room round salt sea second shade short simple slow
small soft some song south stone story street summer sun table tea that the then there
three through time today together tower town train tree two under until walk wall warm
water way well west while wide wind window winter with wood word work yellow yes yet
"""
_WORDS = tuple(_LEXICON.split())
_MAX_GIVEN_CHARS = 200


class ScriptedEngine:
    """Writes sentences of plain words, and of words from the prompt's end.

    `fail_on` names prompts to fail; `scripts` fixes the texts of a key, one a candidate, further
    draws going on where the last one ended and starting over at the end.
    """

    def __init__(
        self,
        *,
        fail_on: Callable[[Prompt], bool] | None = None,
        scripts: Mapping[Key, Sequence[str]] | None = None,
    ) -> None:
        self._fail_on = fail_on
        self._scripts = dict(scripts or {})

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Yield one draw for each prompt, batch after batch, in the order of the prompts."""
        for batch in batches(prompts):
            for prompt in batch:
                yield self._draw(prompt)

    def _draw(self, prompt: Prompt) -> Draw:
        if self._fail_on is not None and self._fail_on(prompt):
            return Draw(prompt=prompt, samples=(), error="the script lets this prompt fail")
        numbers = candidate_numbers(prompt)
        return Draw(prompt=prompt, samples=tuple(self._sample(prompt, n) for n in numbers))

    def _sample(self, prompt: Prompt, number: int) -> Sample:
        script = self._scripts.get(prompt.key)
        if script:
            whole = script[(prompt.draw * prompt.num_candidates + number) % len(script)]
        else:
            whole = _sentences(prompt, number)
        text = cut_at_stop(whole, prompt.sampling.stop)
        finish: FinishReason = "stop" if len(text) < len(whole) else "end"
        return Sample(text=text, num_tokens=len(text.split()), finish=finish)


def _pick(words: tuple[str, ...], byte: int) -> str:
    return words[byte % len(words)]


def _given_words(text: str) -> tuple[str, ...]:
    """Return the words at the prompt's end: what is asked for mostly stands there."""
    return tuple(dict.fromkeys(re.findall(r"\b[a-z]{4,}\b", text[-_MAX_GIVEN_CHARS:])))


def _sentences(prompt: Prompt, number: int) -> str:
    """Return one to three sentences, no more words than the prompt may have tokens."""
    key = prompt.key
    name = [prompt.text, prompt.seed, key.user_id, key.kind, key.subject_id, prompt.draw, number]
    # 64 hexadecimal digits: two for the length, two for each of up to 31 words.
    numbers = bytes.fromhex(digest(name))
    num_words = min(8 + numbers[0] % 24, prompt.sampling.max_new_tokens)
    given = _given_words(prompt.text) or _WORDS
    words = [
        _pick(given if place % 3 else _WORDS, byte)
        for place, byte in enumerate(numbers[1 : num_words + 1])
    ]
    size = 6 + numbers[-1] % 6
    sentences = [words[start : start + size] for start in range(0, len(words), size)]
    return " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)
