"""Laws of texts on a terminal: they are shown, and command nothing."""

from __future__ import annotations

import io
import logging
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm import demo, preview
from personalm.errors import InputError
from personalm.progress import BarProgress, LineProgress
from personalm.records import Candidate, Key, Outcome, Reason, Rejection, Stage
from personalm.shell import run_app
from personalm.visible import LineFormatter, visible, visible_line

if TYPE_CHECKING:
    from pathlib import Path

ATTACKS = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;title\x07",
    "clipboard": "\x1b]52;c;aGk=\x1b\\",
    "link": "\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "c1": "\x9b31mred\x9d0;t\x9c",
    "overwrite": "good\r\x08\x08\x08\x08evil",
    "override": "user\u202egpj.exe\u202c",
    "isolate": "a\u2066b\u2069",
    "forged": "one\nERROR two\u2028three\x85four\x0bfive\x0csix",
    "half": "\ud83d",
    "null": "a\x00b\x7f",
    "markup": "[red]x[/red] [link=http://x]y[/link] [/] [bold",
}


def commands(text: str) -> list[str]:
    """Return what a terminal would obey or could not show."""
    isolates = {chr(n) for n in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    return [
        c
        for c in text
        if c in isolates
        or (unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} and c not in "\t\n")
    ]


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_is_shown_commands_a_terminal(text: str) -> None:
    """Any text, halves of characters included; a line stays one line."""
    assert commands(visible(text)) == []
    assert commands(visible_line(text)) == []
    assert len(visible_line(text).splitlines()) <= 1
    assert "\t" not in visible_line(text)
    visible(text).encode()


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))))
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    """Lines and tabs of a text stay too."""
    assert visible(text) == visible_line(text) == text
    assert visible(f"{text}\n\t{text}") == f"{text}\n\t{text}"


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦 🏳️‍🌈", "שלום\u200f!", "نمی‌خواهم", "e\u0301"])
def test_scripts_and_emoji_keep_their_joiners(text: str) -> None:
    """What shapes letters commands nothing."""
    assert visible_line(text) == text


def outcome(text: str) -> Outcome:
    """Return a rejection whose every word is an attack."""
    return Outcome(
        rejection=Rejection(
            key=Key(user_id=text, kind=text, subject_id=text),
            request_id=text,
            stage=Stage.SELECTION,
            reason=Reason.NO_ROOM,
            message=text,
            fingerprint="f",
        ),
        candidates=(Candidate(number=0, text=text, num_tokens=1, finish="stop"),),
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_preview_shows_and_does_not_obey(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids, texts and messages."""
    preview._print_outcome(outcome(ATTACKS[attack]))

    shown = capsys.readouterr().out
    assert commands(shown) == []
    assert len([line for line in shown.splitlines() if line.startswith("ERROR")]) <= 1


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_table_of_the_demo_takes_no_markup_and_no_commands(
    attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brackets that somebody typed are brackets; every cell is text."""
    text = ATTACKS[attack]
    names = ("user_id", "kind", "subject_id", "text", "model")
    row: dict[str, object] = {**dict.fromkeys(names, text), "style_cosine": None, "adapter": None}
    monkeypatch.setattr(demo, "read_table", lambda _: _Rows([row]))
    monkeypatch.setenv("COLUMNS", "400")

    demo._print_table(tmp_path, {})

    shown = capsys.readouterr().out
    assert commands(shown) == []
    if attack == "markup":
        assert shown.replace("\n", "").count("[red]x[/red]") == len(names)


class _Rows:
    """Rows as the store gives them; a file could not hold half a character."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self._rows = rows

    def to_pylist(self) -> list[dict[str, object]]:
        """Return the rows."""
        return self._rows


@pytest.mark.parametrize("attack", ATTACKS)
def test_progress_stays_one_line(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found in the inputs may name their columns."""
    stream = io.StringIO()
    LineProgress(stream=stream).note(ATTACKS[attack])
    with BarProgress() as bar:
        bar.note(ATTACKS[attack])

    assert commands(stream.getvalue()) == []
    assert stream.getvalue().count("\n") == 1
    assert "\nERROR" not in capsys.readouterr().err


def _fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_log_record_is_one_line(attack: str) -> None:
    """Whatever its arguments hold; a traceback has lines, and commands nothing."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "%s", (ATTACKS[attack],), None)
    handler.handle(record)
    assert commands(stream.getvalue()) == []
    assert stream.getvalue().count("\n") == 1

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its message is the attack
        _fail(ATTACKS[attack])
    record.exc_info = (ValueError, caught.value, caught.tb)
    handler.handle(record)
    assert commands(stream.getvalue()) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_place_of_an_error_is_one_line(attack: str) -> None:
    """A column or file may be named by an enemy."""
    error = InputError("wrong", file=ATTACKS[attack], column=ATTACKS[attack], remedy="Mend it.")

    assert commands(str(error)) == []
    assert str(error).splitlines()[1:] == ["  Mend it."]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_command_prints_its_errors_visibly(
    attack: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so do the texts of `generate`."""
    from personalm import api, generations  # noqa: PLC0415 - the command loads it when it runs
    from personalm.cli import app  # noqa: PLC0415 - the same

    written = generations.Generation.of(outcome(ATTACKS[attack]), prompt=None)
    monkeypatch.setattr("sys.argv", ["personalm", "generate", "u", "--candidates"])
    for generation in (written, replace(written, text=ATTACKS[attack])):
        monkeypatch.setattr(api, "generate_for", lambda *_, found=generation, **__: found)
        with pytest.raises(SystemExit):
            run_app(app)
        shown = capsys.readouterr()
        assert commands(shown.out + shown.err) == []

    def fail(*_: object, **__: object) -> None:
        raise InputError(ATTACKS[attack])

    monkeypatch.setattr(api, "generate_for", fail)
    with pytest.raises(SystemExit):
        run_app(app)
    assert commands(capsys.readouterr().err) == []
