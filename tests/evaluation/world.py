"""People whose style is known, and engines that heed it, ignore it, copy or leak."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalm.generation.engine import batches, candidate_numbers
from personalm.hashing import digest
from personalm.records import Draw, Interaction, Profile, Prompt, Sample
from personalm.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

FILLERS = ("honestly", "anyway", "really", "just", "maybe", "actually", "perhaps", "quite")
ENDS = (".", "!", "...", "?")
NOUNS = ("river", "kettle", "garden", "market", "bridge", "window", "orchard", "station")
WORDS = """
and the a we they went came saw to from under over with before after again home old new small long
every other green cold walked looked stood found left right slowly near far more some many it was
""".split()  # noqa: SIM905 - reads better
TEMPLATE = """+++
subject = "topic"
max_new_tokens = 40
gates = ["empty"]
candidates = 1
+++
{% for text in samples %}
Sample: {{ text | one_line }}
{% endfor %}
Topic: {{ subject }}
Post:"""
START = datetime(2024, 3, 1, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Style:
    """Habits of one hand; None where it has none."""

    filler: str | None = None
    end: str = "."
    is_lower: bool = False


NEUTRAL = Style()


def style_of(number: int) -> Style:
    """Return the style of a person: no two of 64 are the same."""
    return Style(
        filler=FILLERS[number % 8], end=ENDS[number // 8 % 4], is_lower=number // 32 % 2 == 1
    )


def write(style: Style, name: object, subject: str | None = None) -> str:
    """Return a text in a style; it follows from the name, and hardly any two are alike."""
    dice = random.Random(digest([str(name)]))  # noqa: S311 - a test's dice
    words = [dice.choice(WORDS) for _ in range(dice.randint(10, 14))]
    words.insert(3, "the")
    words.insert(4, subject or dice.choice(NOUNS))
    for _ in range(2):
        filler = style.filler if dice.random() < 0.75 else dice.choice(FILLERS)
        words.insert(dice.randint(1, len(words)), filler or dice.choice(FILLERS))
    text = " ".join(words) + (style.end if dice.random() < 0.9 else ".")
    return text if style.is_lower else text.capitalize()


def make_profile(number: int, *, num_texts: int = 40, **fields: Any) -> Profile:
    """Return a person with texts of two a day."""
    return Profile(
        user_id=f"u{number:03}",
        language="en",
        interactions=tuple(
            Interaction(
                text=write(style_of(number), [number, turn]),
                kind="post",
                text_id=f"{number}-{turn}",
                created_at=START + timedelta(days=turn // 2, minutes=turn),
            )
            for turn in range(num_texts)
        ),
        **fields,
    )


def address(profile: Profile, nick: str) -> Profile:
    """Return a person who says every text to the same friend."""
    said = (replace(each, text=f"{nick}: {each.text}") for each in profile.interactions)
    return replace(profile, interactions=tuple(said))


def make_settings(
    folder: Path, profiles: Sequence[Profile], *, template: str = TEMPLATE, **overrides: Any
) -> Settings:
    """Write people as tables and return settings that evaluate them with the fakes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"user_id": p.user_id, "kind": i.kind, "text": i.text, "created_at": i.created_at}
        for p in profiles
        for i in p.interactions
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "interactions.parquet")
    people = [
        {"user_id": p.user_id, "name": p.name, "language": p.language, "opt_out": p.opt_out}
        for p in profiles
    ]
    pq.write_table(pa.Table.from_pylist(people), folder / "profiles.parquet")
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates" / "post.j2").write_text(template, encoding="utf-8")
    empty = folder / "empty.toml"
    empty.write_text("", encoding="utf-8")
    given = {
        "model": "scripted",
        "selection.embedder": "scripted",
        "templates_dir": folder / "templates",
        "inputs.interactions": str(folder / "interactions.parquet"),
        "inputs.profiles": str(folder / "profiles.parquet"),
        "store.buckets": 4,
    }
    return load_settings(empty, **{**given, **overrides})


@dataclass
class HandEngine:
    """Writes what a function makes of a prompt and a candidate's number; counts what it drew."""

    hand: Callable[[Prompt, int], str]
    num_drawn: int = field(default=0)

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Yield one draw for each prompt."""
        for batch in batches(prompts):
            for prompt in batch:
                self.num_drawn += 1
                texts = [self.hand(prompt, number) for number in candidate_numbers(prompt)]
                samples = [Sample(text=t, num_tokens=len(t.split()), finish="end") for t in texts]
                yield Draw(prompt=prompt, samples=tuple(samples))


def samples_in(prompt: Prompt) -> list[str]:
    """Return the texts of the history that a prompt shows."""
    lines = prompt.text.splitlines()
    return [line.removeprefix("Sample: ") for line in lines if line.startswith("Sample: ")]


def heed(prompt: Prompt, number: int) -> str:
    """Write a new text in the style of what the prompt shows."""
    shown = samples_in(prompt)
    style = NEUTRAL
    if shown:
        used = Counter(w for text in shown for w in text.lower().split() if w in FILLERS)
        ends = Counter(next(e for e in ENDS[::-1] if text.endswith(e)) for text in shown)
        style = Style(
            filler=used.most_common(1)[0][0],
            end=ends.most_common(1)[0][0],
            is_lower=sum(text[0].islower() for text in shown) > len(shown) / 2,
        )
    return write(style, [prompt.key.user_id, prompt.key.subject_id, number], prompt.subject)


def ignore(prompt: Prompt, number: int) -> str:
    """Write a new text that follows from the request alone."""
    return write(NEUTRAL, [prompt.key.user_id, prompt.key.subject_id, number], prompt.subject)


def copy(prompt: Prompt, number: int) -> str:
    """Write down one of the texts that the prompt shows."""
    shown = samples_in(prompt) or [ignore(prompt, number)]
    return shown[int(prompt.key.subject_id[2:8], 16) % len(shown)]
