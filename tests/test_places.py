"""Laws of paths that people name: followed, or refused in words that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalm.errors import SettingsError
from personalm.places import expand_home, locate, locate_here
from personalm.remote import RemotePath


def test_a_place_is_absolute_and_its_links_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not exist; the home folder is written out, and object storage stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("link").symlink_to("real")

    assert locate("link/new") == tmp_path.resolve() / "real" / "new"
    assert locate("~/x") == tmp_path.resolve() / "home" / "x"
    assert isinstance(locate("s3://bucket/x"), RemotePath)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("~nobody-of-this-name/x", "no such home folder"),
        ("a\x00b", "NUL character"),
        ("x" * 5_000, "cannot be used: File name too long"),
        ("loop", "leads back to itself"),
        ("s3://", "does not start with the name of a bucket"),
        ("s3:", "does not start with the name of a bucket"),
        ("gs://bucket/x", "no place that is known"),
    ],
    ids=["home", "nul", "long", "loop", "no bucket", "s3", "scheme"],
)
def test_a_path_that_no_file_can_have_is_refused_in_words(
    path: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with a fault of the program."""
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")

    with pytest.raises(SettingsError, match=named):
        locate(path)


def test_what_is_written_here_is_not_written_there() -> None:
    """A folder named `s3:` would hold it, and nobody would look there."""
    with pytest.raises(SettingsError, match="a report is written to this machine"):
        locate_here("s3://bucket/report.html", "a report")
    with pytest.raises(SettingsError, match="no such home folder"):
        expand_home("~nobody-of-this-name")
