"""Laws of the arguments that several commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.commands.arguments import read_lines, read_users
from personalm.commands.forget import forget
from personalm.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_names_the_very_ids_that_it_holds(end: str, mark: str, tmp_path: Path) -> None:
    """Another id is another person: neither white space nor odd ends of lines are taken off."""
    ids = ["a", "a ", " b", "c\u2028d", "e\x0bf", "g,h"]
    path = tmp_path / "ids.txt"
    path.write_bytes((mark + end.join(["", *ids, "  ", ""])).encode())

    assert read_lines(path) == ids
    assert read_users([str(path)]) == tuple(ids)


@pytest.mark.parametrize(
    ("named", "ids"),
    [
        *(("ann ", ("ann ",)), (" ann", (" ann",)), ("\tann\u3000", ("\tann\u3000",))),
        *(("ann , bob ", ("ann ", "bob ")), (" , ann ,\n", ("ann ",))),
    ],
)
def test_white_space_around_an_id_is_a_part_of_it_on_the_command_line(
    named: str, ids: tuple[str, ...]
) -> None:
    """Without it, it would be another user's; only what follows a comma is none of the id."""
    assert read_users([named]) == ids


def test_blanks_are_nobody_to_forget(tmp_path: Path) -> None:
    """A variable of a script that was empty is told of, not taken for a user without rows."""
    with pytest.raises(SettingsError, match="no user is named"):
        forget(tmp_path / "out", " ", "")


def test_ids_on_the_command_line_have_commas_between(tmp_path: Path) -> None:
    """White space after a comma is how people write; each is named once."""
    path = tmp_path / "ids.txt"
    path.write_text("x\n")

    assert read_users(["a, b,,a", str(path)]) == ("a", "b", "x")
    with pytest.raises(SettingsError, match="no user is named"):
        read_users([" , "])
