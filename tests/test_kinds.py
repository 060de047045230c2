"""Laws of the kinds: one file is one kind, and a wrong front matter is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.errors import TemplateError
from personalm.kinds import load_kind, load_kinds

if TYPE_CHECKING:
    from pathlib import Path

FRONT = '+++\nsubject = "topic"\nmax_new_tokens = 20\ngates = ["empty"]\n+++\n'


def test_the_shipped_kinds_are_found() -> None:
    """A clone finds the four kinds without being told where."""
    assert {"blurb", "note", "post", "reply"} <= set(load_kinds())


def test_no_shipped_kind_goes_without_what_every_text_is_held_to() -> None:
    """Likeness to the user decides among what is left: a loop of their words is the most alike."""
    held = {"empty", "length", "banned", "personal_data", "leak", "echo", "loop", "unfinished"}

    for name, kind in load_kinds().items():
        assert held <= set(kind.front.gates), name


def test_a_new_kind_is_one_new_file(tmp_path: Path) -> None:
    """The operator's folder adds kinds and replaces shipped ones by name."""
    (tmp_path / "haiku.j2").write_text(FRONT + "Haiku:")
    (tmp_path / "post.j2").write_text(FRONT + "Mine:")

    kinds = load_kinds(tmp_path)

    assert kinds["haiku"].source == "Haiku:"
    assert kinds["post"].source == "Mine:"
    assert "reply" in kinds


def test_a_mark_before_the_first_letter_says_nothing(tmp_path: Path) -> None:
    """Some editors write one; the kind is the same."""
    text = "+++\nsubject = 'topic'\nmax_new_tokens = 8\ngates = []\n+++\nhi"
    kinds = []
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / encoding / "note.j2"
        path.parent.mkdir()
        path.write_text(text, encoding=encoding)
        kinds.append(load_kind(path))

    assert kinds[0].digest == kinds[1].digest
    assert kinds[0].source == kinds[1].source


def test_the_digest_covers_front_matter_and_source(tmp_path: Path) -> None:
    """Either of them changed makes other texts."""
    path = tmp_path / "post.j2"
    digests = set()
    for text in (FRONT + "A", FRONT + "B", FRONT.replace("20", "21") + "A"):
        path.write_text(text)
        digests.add(load_kind(path).digest)

    assert len(digests) == 3


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Post:", "no front matter"),
        ("+++\nsubject = \n+++\n", "not valid TOML"),
        ("+++\nmax_new_tokens = 20\ngates = []\n+++\n", "subject"),
        (FRONT.replace("gates", "gate"), "gate"),
        (FRONT.replace("20", "0"), "max_new_tokens"),
        (FRONT.replace("20", '20\nstop = [""]'), "stop"),
    ],
)
def test_a_wrong_front_matter_is_named_with_its_file(tmp_path: Path, text: str, named: str) -> None:
    """Misspelt keys are errors, not ignored."""
    path = tmp_path / "post.j2"
    path.write_text(text)

    with pytest.raises(TemplateError) as caught:
        load_kind(path)

    assert named in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_name_that_is_no_kind_is_refused(tmp_path: Path) -> None:
    """Kinds go into keys and messages: plain names only."""
    path = tmp_path / "My Post.j2"
    path.write_text(FRONT)

    with pytest.raises(TemplateError, match="no name of a kind"):
        load_kind(path)


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    """Nobody runs on the shipped templates by a misspelt folder."""
    with pytest.raises(TemplateError, match="does not exist"):
        load_kinds(tmp_path / "nowhere")
