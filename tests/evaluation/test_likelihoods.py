"""Laws of likelihoods: asked of the real model, once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personalm.assembly import Assembly
from personalm.evaluation.conditions import Condition, show_profile
from personalm.evaluation.likelihoods import Likelihoods
from personalm.evaluation.memo import Memo
from personalm.evaluation.people import Person, choose_people
from personalm.hashing import user_digest
from personalm.loaded import Voice, unload
from personalm.records import Request
from tests.evaluation.world import make_profile, make_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WISH = Request(user_id="", kind="post", subject_id="s", subject="the river")

SETTINGS: dict[str, Any] = {"generation.dtype": "float32", "prompting.num_style_texts": 2}


@pytest.fixture
def people() -> list[Person]:
    """Return four people."""
    profiles = sorted((make_profile(n) for n in range(14)), key=lambda p: user_digest(p.user_id))
    return list(choose_people(profiles, num_people=4).people)


@pytest.fixture
def assembly(tiny_gpt2: Path, tmp_path: Path) -> Iterator[Assembly]:
    """Assemble the rooms round the tiny GPT-2."""
    settings = make_settings(
        tmp_path / "in",
        [make_profile(0)],
        model=str(tiny_gpt2),
        **SETTINGS,
    )
    yield Assembly(settings)
    unload()


def measure(assembly: Assembly, people: list[Person], folder: Path) -> dict[Condition, np.ndarray]:
    """Return the nats of everybody's newest text."""
    shown = {Condition.OWN: 0, Condition.RANDOM: 1, Condition.NEAREST: 2}
    profiles = [
        {
            **{
                condition: show_profile(person, people[(n + step) % 4], language="en")
                for condition, step in shown.items()
            },
            Condition.NONE: show_profile(person, None, language="en"),
        }
        for n, person in enumerate(people)
    ]
    found = Likelihoods(assembly, Memo(folder), kind=WISH.kind).of_real_texts(
        people, profiles, wish=WISH, num_texts=1, on_person=lambda: None
    )
    return dict(found)


def test_a_history_that_holds_the_text_makes_it_likelier(
    assembly: Assembly, people: list[Person], tmp_path: Path
) -> None:
    """The numbers are nats a token, positive, and those of the history that was shown."""
    nats = measure(assembly, people, tmp_path / "memo")
    other = [replace(p, held_out=(make_profile(99).texts[0],)) for p in people]

    assert all((values > 0).all() for values in nats.values())
    assert all(len(values) == 4 for values in nats.values())
    assert not np.allclose(nats[Condition.OWN], nats[Condition.NONE])
    changed = measure(assembly, other, tmp_path / "memo")
    assert not np.allclose(changed[Condition.OWN], nats[Condition.OWN])


def test_the_same_question_is_asked_once(
    assembly: Assembly,
    people: list[Person],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second evaluation reads the numbers; their files tell nothing of anybody."""
    first = measure(assembly, people, tmp_path / "memo")
    voice = assembly.voice

    def refuse(_: object) -> list[float]:
        pytest.fail("the model was asked again")

    monkeypatch.setattr(
        "personalm.loaded.load_voice",
        lambda *_: Voice(tokenizer=voice.tokenizer, engine=voice.engine, likelihood=refuse),
    )
    again = measure(assembly, people, tmp_path / "memo")

    assert all(np.array_equal(first[c], again[c]) for c in Condition)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "memo").iterdir())
    assert not any(character.isalpha() for character in kept.decode())


def test_a_text_that_does_not_fit_is_no_number(
    assembly: Assembly, people: list[Person], tmp_path: Path
) -> None:
    """The tiny model has 256 positions."""
    long = [replace(p, held_out=("river " * 2_000,)) for p in people]
    shown = {c: show_profile(people[0], replace(people[0]), language="en") for c in Condition}

    nats = Likelihoods(assembly, Memo(tmp_path), kind=WISH.kind).of_real_texts(
        long[:1], [shown], wish=WISH, num_texts=1, on_person=lambda: None
    )

    assert np.isnan(nats[Condition.OWN]).all()


def test_conditions_are_compared_on_the_same_texts(
    assembly: Assembly, people: list[Person], tmp_path: Path
) -> None:
    """A text that fits without a history and not beside one counts in no condition."""
    short, long = "we saw the river", "river " * 120
    wordy = replace(
        people[1],
        profile=replace(
            people[1].profile,
            interactions=tuple(
                replace(each, text=f"{each.text} {each.text} {each.text}")
                for each in people[1].profile.interactions
            ),
        ),
    )
    shown = {c: show_profile(people[0], wordy, language="en") for c in Condition}
    shown[Condition.NONE] = show_profile(people[0], None, language="en")

    def ask(*held_out: str) -> dict[Condition, float]:
        nats = Likelihoods(assembly, Memo(tmp_path), kind=WISH.kind).of_real_texts(
            [replace(people[0], held_out=held_out)],
            [shown],
            wish=WISH,
            num_texts=2,
            on_person=lambda: None,
        )
        return {condition: float(values[0]) for condition, values in nats.items()}

    assert ask(long, short) == ask(short)
    assert all(np.isnan(value) for value in ask(long).values())
    assert all(np.isfinite(value) for value in ask(short).values())
