"""Laws of portraits: what they say is in the texts, and they are told to the operator alone."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from personalm import pipeline
from personalm.assembly import Assembly
from personalm.commands.profile import profile as profile_command
from personalm.portrait import draw_portrait
from personalm.records import Interaction, Profile
from personalm.settings import load_settings
from tests.test_strangers import PEOPLE, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.portrait import Portrait

CHATTY = (
    "hi all, the kettle's on :)",
    "hey you! isn't it warm today?",
    "the ferry was late again 😂 cheers",
    "they don't know the harbour! thanks",
)


def draw(*texts: str, traits: tuple[str, ...] = (), language: str | None = "en") -> Portrait:
    """Return the portrait of somebody."""
    settings = load_settings(model="scripted", **{"selection.embedder": "scripted"})
    user = Profile(
        user_id="ada",
        language=language,
        traits=traits,
        interactions=tuple(Interaction(text=text) for text in texts),
    )
    return draw_portrait(user, Assembly(settings))


def test_habits_are_counted() -> None:
    """Shares of texts, and emoji a text."""
    portrait = draw(*CHATTY, traits=("never uses capitals",))
    assert portrait.tier == "1-4"
    assert portrait.num_texts == portrait.num_looked_at == 4
    assert portrait.median_length == 6
    assert portrait.greeting_share == 0.5
    assert portrait.sign_off_share == 0.5
    assert portrait.lower_case_share == 1
    assert portrait.contraction_share == 0.5
    assert portrait.question_share == 0.25
    assert portrait.exclamation_share == 0.5
    assert portrait.emoji_per_text == 0.5
    assert portrait.abstains == "fewer than 5 texts"
    assert set(portrait.typical_texts) <= set(CHATTY)
    said = "\n".join(portrait.lines())
    assert "usually starts in lower case (100% of texts)" in said
    assert "trait given in the profile: never uses capitals" in said
    assert "own mark n/a" in said


@pytest.mark.parametrize("texts", [(), ("",), ("😂😂",)])
def test_whoever_wrote_nothing_has_a_portrait(texts: tuple[str, ...]) -> None:
    """It says so."""
    portrait = draw(*texts)
    assert portrait.own_mark is None
    assert portrait.abstains is not None
    assert portrait.lines()


def test_scripts_without_spaces_have_a_portrait() -> None:
    """Lengths are in words, two characters each."""
    portrait = draw("こんにちは。今日は涼しいですね", "よろしくお願いします！", language="ja")
    assert portrait.language == "ja"
    assert portrait.greeting_share == 0.5
    assert portrait.sign_off_share == 0.5
    assert portrait.exclamation_share == 0.5
    assert portrait.median_length is not None
    assert 4 < portrait.median_length < 9


def test_long_texts_are_clipped_to_a_line() -> None:
    """The terminal is no place for all of it."""
    portrait = draw("a kettle\nand " * 100, "tea", "tea and more", "bread", "milk", "rye")
    assert all(len(text) <= 160 and "\n" not in text for text in portrait.typical_texts)


def test_no_text_is_in_a_repr() -> None:
    """A portrait lands in a traceback by accident."""
    portrait = draw(*CHATTY)
    assert "kettle" not in repr(portrait)
    assert "ada" not in repr(portrait)


def test_the_command_shows_the_mark_that_results_carry(
    memory_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """In words and as JSON; nothing of the user goes into a log."""
    caplog.set_level(logging.DEBUG)
    settings = settings_of(memory_path)
    pipeline.run(settings)
    config = memory_path / "run.toml"
    config.write_text(
        f"""model = "scripted"
output = "{settings.output}"
generation = {{ languages = ["en"] }}
selection = {{ embedder = "scripted" }}
inputs = {{ interactions = "{settings.inputs.interactions[0]}" }}
""",
        encoding="utf-8",
    )

    assert profile_command("u3", config=config, json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert profile_command("u3", config=config) == 0
    said = capsys.readouterr().out

    from personalm.store.reading import read_table  # noqa: PLC0415 - only here

    (row,) = (r for r in read_table(settings.output).to_pylist() if r["user_id"] == "u3")
    assert shown["own_mark"] == row["own_mark"]
    assert set(shown["typical_texts"]) <= set(PEOPLE[3].texts)
    assert f"own mark {row['own_mark']:.2f}" in said
    assert not [text for text in PEOPLE[3].texts if text in caplog.text]
