"""Laws of bases: what a training starts from is named so that it is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalm.errors import TrainingError
from personalm.records import ModelCard
from personalm.training.bases import settle_base


def named(name: str, adapter: str | None = None) -> ModelCard:
    """Return the card of a model of this name."""
    return ModelCard(name=name, digest="0", max_positions=8, adapter=adapter)


@pytest.mark.parametrize("name", ["base", "./base", "there/../base", "~/base"])
def test_a_folder_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever loads an adapter of it may stand elsewhere."""
    (tmp_path / "base").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    settled = settle_base(named(name))

    assert settled.name == str((tmp_path / "base").resolve())
    assert settled.digest == named(name).digest


@pytest.mark.parametrize("name", ["bundled:smollm2-135m", "gpt2", "someone/gpt2@0a1b2c"])
def test_other_names_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where a folder lies there that is not what they mean."""
    monkeypatch.chdir(tmp_path)
    if name.startswith("bundled:"):
        Path(name).mkdir()

    assert settle_base(named(name)).name == name


def test_an_adapter_is_no_base() -> None:
    """The remedy names its own."""
    with pytest.raises(TrainingError, match=r"(?s)my-adapter is an adapter.*--model gpt2"):
        settle_base(named("gpt2", "my-adapter"))
