"""Portraits: what the program takes a user's style to be, in numbers and in words.

It is drawn from the same texts, by the same measures, as style scores are. It shows what people
wrote: it is for the operator's own terminal, and goes into no log.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from personalm.discreet import Discreet
from personalm.hashing import user_digest
from personalm.planning.languages import normalise_language
from personalm.planning.tiers import tier_of
from personalm.selection.lengths import measure_length
from personalm.selection.shape import (
    GREETING,
    SIGN_OFF,
    count_emoji,
    has_contraction,
    starts_lower,
)
from personalm.selection.styles import MAX_TEXTS
from personalm.selection.voices import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personalm.assembly import Assembly
    from personalm.records import Profile
    from personalm.selection.styles import StyleReference

_NUM_TYPICAL = 3
_MAX_SHOWN_CHARS = 160
_OFTEN, _SOMETIMES, _SELDOM = 0.6, 0.2, 0.02


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Portrait(Discreet):
    """The style of one user.

    All that follows `num_looked_at` is of that many newest texts. Lengths are in words, shares in
    [0, 1] of texts. `own_mark` and why it is missing are those of the style score.
    """

    user_id: str
    name: str | None
    language: str
    tier: str
    num_texts: int
    traits: tuple[str, ...]
    num_looked_at: int
    median_length: float | None
    greeting_share: float
    sign_off_share: float
    emoji_per_text: float
    contraction_share: float
    lower_case_share: float
    question_share: float
    exclamation_share: float
    own_mark: float | None
    abstains: str | None
    typical_texts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def lines(self) -> tuple[str, ...]:
        """Return the portrait in words, a line a statement."""
        who = f"{self.user_id}, {self.name}" if self.name else self.user_id
        found = [f"{who}: {self.num_texts} texts (tier {self.tier}), language {self.language}"]
        found += [f"trait given in the profile: {trait}" for trait in self.traits]
        if self.median_length is None:
            return (*found, "no own writing to look at")
        found.append(f"half of the newest {self.num_looked_at} texts are {_length_in_words(self)}")
        habits = (
            ("starts in lower case", self.lower_case_share),
            ("greets", self.greeting_share),
            ("signs off", self.sign_off_share),
            ("uses contractions", self.contraction_share),
            ("asks", self.question_share),
            ("exclaims", self.exclamation_share),
        )
        found += [f"{_how_often(share)} {habit} ({share:.0%} of texts)" for habit, share in habits]
        found.append(f"{self.emoji_per_text:.2f} emoji or smileys a text")
        mark = "n/a" if self.own_mark is None else f"{self.own_mark:.2f}"
        why = f"; style scores abstain: {self.abstains}" if self.abstains else ""
        found.append(f"own mark {mark} (a stranger's texts reach 0){why}")
        return (*found, *(f"typical: {text}" for text in self.typical_texts))


def draw_portrait(profile: Profile, assembly: Assembly) -> Portrait:
    """Describe how a user writes; the embedder is loaded where there is anything to embed."""
    texts = profile.texts[-MAX_TEXTS:]
    language = normalise_language(profile.language) or assembly.detect_language(profile.texts)
    voice = Voice(owner=user_digest(profile.user_id), language=language, texts=texts)
    voices = assembly.selector.voices
    styles, rows = voices.learn([voice], texts)
    style = styles[voice.name]

    def place(text: str) -> tuple[float, str]:
        cosine, z = voices.score(style, text, rows.get(text))
        return -next((score for score in (z, cosine) if score is not None), -9.0), text

    return Portrait(
        user_id=profile.user_id,
        name=profile.name,
        language=language,
        tier=tier_of(len(profile.texts)),
        num_texts=len(profile.texts),
        traits=profile.traits,
        num_looked_at=len(texts),
        median_length=float(median(map(measure_length, texts))) if texts else None,
        greeting_share=_share(texts, lambda text: GREETING.match(text) is not None),
        sign_off_share=_share(texts, lambda text: SIGN_OFF.search(text) is not None),
        emoji_per_text=round(sum(map(count_emoji, texts)) / max(1, len(texts)), 3),
        contraction_share=_share(texts, has_contraction),
        lower_case_share=_share(texts, starts_lower),
        question_share=_share(texts, lambda text: "?" in text or "？" in text),
        exclamation_share=_share(texts, lambda text: "!" in text or "！" in text),
        own_mark=style.own_mark,
        abstains=_find_reason(style, len(set(texts)), assembly),
        typical_texts=tuple(
            _clip(text) for text in sorted(dict.fromkeys(texts), key=place)[:_NUM_TYPICAL]
        ),
    )


def _find_reason(style: StyleReference, num_texts: int, assembly: Assembly) -> str | None:
    """Say why all style scores of a user abstain, None where they do not."""
    selection = assembly.settings.selection
    if num_texts < selection.min_scored_texts:
        return f"fewer than {selection.min_scored_texts} texts"
    if assembly.pool is None:
        return "the output folder has no pool of strangers' texts; a run makes it"
    if style.own_mark is None:
        return "too few strangers in this language, or too few texts that are long enough"
    if style.own_mark < selection.min_own_mark:
        return f"the own mark is below {selection.min_own_mark}"
    return None


def _share(texts: Sequence[str], has_it: Callable[[str], bool]) -> float:
    return round(sum(map(has_it, texts)) / max(1, len(texts)), 3)


def _length_in_words(portrait: Portrait) -> str:
    length = portrait.median_length or 0.0
    return f"no longer than {length:g} words"


def _how_often(share: float) -> str:
    if share >= _OFTEN:
        return "usually"
    if share >= _SOMETIMES:
        return "sometimes"
    return "seldom" if share >= _SELDOM else "never or hardly ever"


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN_CHARS else line[: _MAX_SHOWN_CHARS - 1] + "…"
