"""Laws of the arguments that several commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.commands.arguments import read_lines, read_users
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


def test_ids_on_the_command_line_have_commas_between(tmp_path: Path) -> None:
    """White space after a comma is how people write; each is named once."""
    path = tmp_path / "ids.txt"
    path.write_text("x\n")

    assert read_users(["a, b,,a", str(path)]) == ("a", "b", "x")
    with pytest.raises(SettingsError, match="no user is named"):
        read_users([" , "])
