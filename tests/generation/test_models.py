"""A model is found, checked and named without loading it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from personalm import bundled
from personalm.errors import ModelError
from personalm.generation.models import inspect_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """Copy the tiny GPT-2."""
    return shutil.copytree(tiny_gpt2, tmp_path / "model")


def test_the_card_says_what_the_folder_holds(folder: Path) -> None:
    """Name and positions; nothing where the languages are not said."""
    card = inspect_model(str(folder))

    assert card.name == str(folder)
    assert card.max_positions == 256
    assert card.languages is None


@pytest.mark.parametrize(
    ("front_matter", "languages"),
    [
        ("language: en", ("en",)),
        ("language:\n- EN\n- de", ("en", "de")),
        ("language: multilingual", None),
        ("license: mit", None),
        ("language: {", None),
        ("- a list", None),
    ],
)
def test_languages_come_from_the_argument_then_from_the_readme(
    folder: Path, front_matter: str, languages: tuple[str, ...] | None
) -> None:
    """A README that cannot be read says nothing."""
    (folder / "README.md").write_text(f"---\n{front_matter}\n---\n# A model\n")

    assert inspect_model(str(folder)).languages == languages
    assert inspect_model(str(folder), languages=("fr",)).languages == ("fr",)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_digest_covers_every_file_that_decides_texts(folder: Path, file: str) -> None:
    """A changed byte is another model; a changed README or place is not."""
    before = inspect_model(str(folder)).digest
    (folder / "README.md").write_text("# A model\n")
    moved = folder.rename(folder.with_name("moved"))
    assert inspect_model(str(moved)).digest == before

    (moved / file).write_bytes((moved / file).read_bytes() + b" ")
    assert inspect_model(str(moved)).digest != before


def test_positions_must_be_known(folder: Path) -> None:
    """Without them a prompt could leave the model's positions."""
    config = json.loads((folder / "config.json").read_text())
    del config["n_positions"]
    (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(ModelError, match="number of positions"):
        inspect_model(str(folder))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere", "does not exist"),
        ("/no/such/folder", "does not exist"),
        ("a/b/c", "does not exist"),
        ("no such name!", "neither a folder nor a model name"),
        ("bundled:nothing", "no bundled model"),
        ("bundled:minilm-l6", "no language model"),
    ],
)
def test_a_name_that_is_no_model_says_so(name: str, message: str) -> None:
    """Each kind of name in its own words."""
    with pytest.raises(ModelError, match=message):
        inspect_model(name)


def test_a_hub_model_that_is_not_cached_needs_a_network(tmp_path: Path) -> None:
    """Offline it is an error with a remedy, at once and without a traceback of the client."""
    code = (
        "from personalm.errors import ModelError\n"
        "from personalm.generation.models import inspect_model\n"
        "try: inspect_model('someone/some-model')\n"
        "except ModelError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "is not in the local cache and cannot be downloaded" in done.stdout
    assert "personalm models" in done.stdout


def test_a_cached_hub_model_is_used_where_it_lies(tiny_gpt2: Path, tmp_path: Path) -> None:
    """Without asking the hub."""
    repository = tmp_path / "hub" / "models--someone--some-model"
    snapshot = repository / "snapshots" / "0123456789012345678901234567890123456789"
    shutil.copytree(tiny_gpt2, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    code = (
        "import sys\n"
        "from personalm.generation.models import inspect_model\n"
        "print(inspect_model('someone/some-model').max_positions)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "256\n"


@pytest.mark.skipif(
    not bundled.is_prepared("bundled:smollm2-135m"), reason="bundled:smollm2-135m is not prepared"
)
def test_the_bundled_model_has_a_card() -> None:
    """It writes English, and its digest does not depend on how it was unpacked."""
    card = inspect_model("bundled:smollm2-135m")

    assert card.languages == ("en",)
    assert card.max_positions == 8192
    assert card.digest == "06f96e027f40bdba578ecb8a85c61526cd88fb960355aabe81a694ad39063434"
