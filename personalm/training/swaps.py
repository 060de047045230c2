"""Swaps: the same held-out text after its own history, another's, and none.

Another is drawn at random, or is the one whose texts share most words with the user's: the harder
test. All four prompts ask for the same subject, so that only the history differs.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import bm25s

from personalm.discreet import Discreet
from personalm.planning.tiers import tier_of
from personalm.records import Profile
from personalm.terms import split_terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personalm.records import Interaction, Task
    from personalm.training.corpus import Corpus, Text
    from personalm.training.examples import Example, ExampleMaker, TokenIds

_MAX_CHARS = 20_000
_MAX_QUERY_TERMS = 300


class History(StrEnum):
    """Whose earlier texts a prompt shows."""

    OWN = "own"
    OTHER_RANDOM = "other_random"
    OTHER_NEAREST = "other_nearest"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Swap(Discreet):
    """One held-out text, with an example for each history, and all texts of two of them.

    `pasts` are those of the user and of the random other, as token ids: a prompt shows a few.
    """

    examples: Mapping[History, Example]
    pasts: Mapping[History, tuple[TokenIds, ...]]

    @property
    def author(self) -> int:
        """Row of the writer."""
        return self.examples[History.OWN].author

    @property
    def tier(self) -> str:
        """Tier of the writer's own history."""
        return self.examples[History.OWN].tier


def make_swaps(
    maker: ExampleMaker, corpus: Corpus, texts: Sequence[Text], *, most: int, seed: int
) -> tuple[Swap, ...]:
    """Return up to so many swaps, drawn over all users alike; each has all four histories."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    # What others had written by the same side of the split: their newest texts are held out, too.
    first = {text.author: text.place for text in reversed(texts)}
    pasts = {
        author: tuple(profile.interactions[: first.get(author, len(profile.interactions))])
        for author, profile in enumerate(corpus.authors)
    }
    others = [author for author, past in pasts.items() if any(i.text.strip() for i in past)]
    if len(others) < 2:  # noqa: PLR2004 - a user and another
        return ()
    nearest = _nearest(corpus, {author: pasts[author] for author in others})
    swaps = []
    for text in _draw(texts, most, chance):
        task = maker.task_of(text)
        if task is None:
            continue
        another = chance.choice([author for author in others if author != text.author])
        voices = {
            History.OWN: task.voice,
            History.OTHER_RANDOM: _as_past(corpus, another, pasts),
            History.OTHER_NEAREST: _as_past(corpus, nearest.get(text.author, another), pasts),
            History.NONE: Profile(user_id=task.voice.user_id),
        }
        examples = {
            history: maker.example_of(text, _with_voice(task, voice))
            for history, voice in voices.items()
        }
        whole = {history: example for history, example in examples.items() if example}
        if len(whole) == len(History):
            shown = {
                history: maker.past_of(_with_voice(task, voices[history]))
                for history in (History.OWN, History.OTHER_RANDOM)
            }
            swaps.append(Swap(examples=whole, pasts=shown))
    return tuple(swaps)


def _draw(texts: Sequence[Text], most: int, chance: random.Random) -> list[Text]:
    """Draw texts, one of each user before a second of anybody."""
    by_author: dict[int, list[Text]] = {}
    for text in texts:
        by_author.setdefault(text.author, []).append(text)
    for own in by_author.values():
        chance.shuffle(own)
    authors = list(by_author)
    chance.shuffle(authors)
    turns = max((len(own) for own in by_author.values()), default=0)
    drawn = [
        by_author[author][turn]
        for turn in range(turns)
        for author in authors
        if turn < len(by_author[author])
    ]
    return drawn[:most]


def _as_past(corpus: Corpus, author: int, pasts: Mapping[int, tuple[Interaction, ...]]) -> Profile:
    return replace(corpus.authors[author], interactions=pasts[author])


def _with_voice(task: Task, voice: Profile) -> Task:
    """Return the task as somebody else would have asked it."""
    is_own = task.profile is task.voice
    return replace(
        task,
        profile=voice if is_own else task.profile,
        voice=voice,
        tier=tier_of(len(voice.texts)),
    )


def _nearest(corpus: Corpus, pasts: Mapping[int, tuple[Interaction, ...]]) -> dict[int, int]:
    """Return for each user the other whose texts are the best answer to the user's own words."""
    authors = list(pasts)
    pooled = ["\n".join(_as_past(corpus, author, pasts).texts)[-_MAX_CHARS:] for author in authors]
    terms = split_terms(pooled)
    if not any(terms):
        return {}
    index = bm25s.BM25()
    index.index(terms, create_empty_token=False, show_progress=False)
    found = {}
    for row, author in enumerate(authors):
        own = Counter(term for term in terms[row] if term in index.vocab_dict)
        if not own:
            continue
        scores = index.get_scores([term for term, _ in own.most_common(_MAX_QUERY_TERMS)])
        scores[row] = float("-inf")
        found[author] = authors[int(scores.argmax())]
    return found
