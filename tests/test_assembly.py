"""Laws of the rooms as they are wired: an embedder is told by its files, never by its name."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personalm import loaded
from personalm.api import open_assembly
from personalm.assembly import Assembly
from personalm.errors import ModelError
from personalm.settings import load_settings
from tests.population import Person, make_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Standin:
    """Tells what lay in its folder when it was loaded."""

    def __init__(self, name: str) -> None:
        with open(f"{name}/config.json", encoding="utf-8") as file:  # noqa: PTH123 - as short
            self.read = file.read()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return nothing of any text."""
        return np.zeros((len(texts), 0), dtype=np.float32)


@pytest.fixture
def embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of an embedder whose loading costs nothing."""
    monkeypatch.setattr(loaded, "SentenceEmbedder", Standin)
    loaded.unload()
    yield make_embedder(tmp_path / "embedder")
    loaded.unload()


def make_embedder(folder: Path, *, size: int = 1) -> Path:
    """Write the files of an embedder, in place of those before."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(f'{{"size": {size}}}')
    return folder


def assemble(folder: Path, embedder: Path, **more: Any) -> Assembly:
    """Return an assembly with an embedder."""
    more["selection.embedder"] = str(embedder)
    return Assembly(make_settings(folder, [Person(user_id="u")], **more))


def read_by(found: Assembly) -> str:
    """Return what the embedder of an assembly has read."""
    loaded = found.open_embedder()
    assert isinstance(loaded, Standin)
    return loaded.read


def test_an_embedder_that_changed_in_its_place_is_loaded_anew(
    tmp_path: Path, embedder: Path
) -> None:
    """Rows under a digest are those of the embedder with that digest, in a long process as well."""
    before = assemble(tmp_path, embedder)
    first = read_by(before)
    again = read_by(assemble(tmp_path, embedder))
    make_embedder(embedder, size=2)
    after = assemble(tmp_path, embedder)

    assert first == again == '{"size": 1}'
    assert read_by(after) == '{"size": 2}'
    assert before.embedder_name != after.embedder_name
    assert loaded.load_embedder.cache_info().misses == 2


def test_an_embedder_that_changes_before_it_is_loaded_is_refused(
    tmp_path: Path, embedder: Path
) -> None:
    """What was planned under one digest is not measured by another embedder."""
    planned = assemble(tmp_path, embedder)
    _ = planned.fingerprint
    make_embedder(embedder, size=2)

    with pytest.raises(ModelError, match="has changed since"):
        planned.open_embedder()


def test_where_an_embedder_lies_redoes_nothing_and_which_it_is_does(
    tmp_path: Path, embedder: Path
) -> None:
    """A folder that was moved or copied is the same embedder; another one redoes every text."""
    moved = shutil.copytree(embedder, tmp_path / "moved")
    other = make_embedder(tmp_path / "other", size=2)
    found = [assemble(tmp_path, each) for each in (embedder, moved, other)]

    assert found[0].settings_digest == found[1].settings_digest != found[2].settings_digest
    assert found[0].fingerprint == found[1].fingerprint != found[2].fingerprint


def test_without_an_embedder_none_is_counted(tmp_path: Path, embedder: Path) -> None:
    """The shape of texts needs none: whichever is named redoes nothing."""
    other = make_embedder(tmp_path / "other", size=2)
    shape: dict[str, Any] = {"selection.scorer": "shape"}
    found = [assemble(tmp_path, each, **shape) for each in (embedder, other)]

    assert found[0].settings_digest == found[1].settings_digest
    assert found[0].settings_digest != assemble(tmp_path, embedder).settings_digest


@pytest.mark.parametrize(
    ("named", "language"), [("nl", "nl"), ("nl-BE", "nl"), ("dut", "nl"), ("Dutch", "nl")]
)
def test_who_tells_no_language_writes_that_of_the_settings(
    named: str, language: str, tmp_path: Path
) -> None:
    """However it is named there: gates and stemmers know two letters."""
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    given: dict[str, Any] = {
        "model": "scripted",
        "output": tmp_path / "out",
        "selection.embedder": "scripted",
        "inputs.language": named,
    }

    assert open_assembly(load_settings(empty, **given)).detect_language(()) == language
