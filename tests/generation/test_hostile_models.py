"""A model folder made by an enemy runs no code, reads no other file and fills no memory."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import ModelError
from personalm.foreign import PICKLES, check_files
from personalm.generation.guards import check_folder
from personalm.generation.loading import load_model
from personalm.generation.models import inspect_model
from tests.hostile import Hostile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def edit(path: Path, **change: object) -> None:
    """Change keys of a JSON file."""
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(old | change))


def shard(folder: Path, name: str) -> None:
    """Let the index of a sharded model name one file for every weight."""
    edit(folder / "model.safetensors.index.json", weight_map={"lm_head.weight": name})


def refuse(folder: Path, message: str) -> None:
    """Assert that a folder is refused before any library is asked to load it."""
    with pytest.raises(ModelError, match=message):
        check_folder(folder)
    with pytest.raises(ModelError, match=message):
        inspect_model(str(folder))


@pytest.mark.parametrize("suffix", sorted(PICKLES))
@pytest.mark.parametrize("stem", ["pytorch_model", "tf_model", "weights"])
def test_weights_that_are_no_safetensors_are_refused(
    folder: Path, canary: Path, stem: str, suffix: str
) -> None:
    """Whatever their name; also beside safetensors of another name, which no library looks for."""
    (folder / "model.safetensors").rename(folder / "decoy.safetensors")
    (folder / f"{stem}{suffix}").write_bytes(pickle.dumps(Hostile(canary)))

    refuse(folder, f"{stem}{suffix} only, a format that can run code")
    assert not canary.exists()


_WATCHED = """
import sys
opened = []
def watch(event, arguments):
    if event in ("os.system", "subprocess.Popen", "pickle.find_class"):
        print("ran", event, arguments)
    if event == "open" and str(arguments[0]).startswith(sys.argv[1]):
        opened.append(str(arguments[0]))
from personalm.generation.loading import load_model
import torch, transformers
sys.addaudithook(watch)
load_model(sys.argv[1], dtype="float32", device="cpu", threads=1)
print(*sorted(opened), sep="\\n")
"""


def test_pickles_beside_safetensors_are_never_opened(folder: Path, canary: Path) -> None:
    """A folder may carry other formats: the process that loads it does not touch them."""
    pickles = {f"pytorch_model{suffix}" for suffix in PICKLES}
    for name in pickles | {"training_args.bin", "optimizer.pt", "adapter_model.bin"}:
        (folder / name).write_bytes(pickle.dumps(Hostile(canary)))

    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(folder)], capture_output=True, text=True, check=True
    )

    opened = done.stdout.split("\n")
    assert f"{folder}/config.json" in opened
    assert [line for line in opened if line.endswith(tuple(PICKLES)) or "ran" in line[:3]] == []
    assert not canary.exists()


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin",
        "../outside.safetensors",
        "/etc/hostname",
        "sub/model.safetensors",
        "..",
        "",
        "absent.safetensors",
        "model.safetensors\x00",
        "..\\outside.safetensors",
    ],
)
def test_an_index_names_safetensors_of_its_own_folder_only(
    folder: Path, canary: Path, name: str
) -> None:
    """A shard elsewhere, or in a format that can run code, is refused by its name."""
    (folder.parent / "outside.safetensors").write_bytes(b"")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile(canary)))
    shard(folder, name)

    refuse(folder, "names a shard that is no safetensors file of its folder")
    assert not canary.exists()


@pytest.mark.parametrize("content", ["{}", "[]", "7", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_without_weights_is_refused(folder: Path, content: str) -> None:
    """It would leave the weights to chance."""
    (folder / "model.safetensors.index.json").write_text(content)

    refuse(folder, r"names no weights|holds no JSON object")


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "tokenizer_config.json",
        "generation_config.json",
        "preprocessor_config.json",
        "unheard_of.JSON",
        "sub/config.json",
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        {"auto_map": {"AutoModelForCausalLM": "evil.Model"}},
        {"text_config": [{"deep": {"auto_map": {"AutoConfig": "someone/else--evil.C"}}}]},
        {"decoder": {"trust_remote_code": True}},
        {"trust_remote_code": False},
        {"custom_pipelines": {"x": {"impl": "evil.P"}}},
        {"x": {"_attn_implementation": "someone/kernel"}},
        {"transformers_weights": "adapter_model.bin"},
        {"transformers_weights": "../../outside.safetensors"},
        {"base_model_name_or_path": "someone/else"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_ask_for_code_or_other_weights_are_refused(
    folder: Path, file: str, change: dict[str, Any]
) -> None:
    """In every JSON file, at any depth."""
    (folder / "sub").mkdir()
    edit(folder / file, **change)

    refuse(folder, "asks for program code|names other weights")


@pytest.mark.parametrize("suffix", [".py", ".PY", ".pyc", ".so", ".pyd"])
def test_program_code_is_refused_in_every_form(folder: Path, suffix: str) -> None:
    """Also far down, and where no setting names it."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / f"modeling{suffix}").write_bytes(b"")

    refuse(folder, "program code")


def _link_to_file(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").symlink_to("/etc/hostname")


def _link_to_folder(folder: Path) -> None:
    (folder / "sub").symlink_to(folder.parent)


def _link_to_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    (folder / "model.safetensors").symlink_to("../elsewhere.safetensors")


def _link_to_nothing(folder: Path) -> None:
    (folder / "x.json").symlink_to(folder / "absent.json")


def _link_to_itself(folder: Path) -> None:
    (folder / "x.json").symlink_to(folder / "x.json")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "special_tokens_map.json")


def _device(folder: Path) -> None:
    (folder / "vocab.json").symlink_to("/dev/zero")


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "plant",
    [
        _link_to_file,
        _link_to_folder,
        _link_to_weights,
        _link_to_nothing,
        _link_to_itself,
        _pipe,
        _device,
    ],
    ids=lambda plant: plant.__name__[1:],
)
def test_only_what_lies_in_the_folder_is_read(folder: Path, plant: Callable[[Path], None]) -> None:
    """Links out of it, loops, pipes and devices are refused, and nothing waits for them."""
    plant(folder)

    refuse(folder, "link that leads|neither a file nor a folder")


def test_a_model_in_the_cache_of_the_hub_is_made_of_links(folder: Path, tmp_path: Path) -> None:
    """They lead to the blobs of the same model, and no further."""
    cache = tmp_path / "models--someone--model"
    snapshot = cache / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for path in folder.iterdir():
        path.rename(cache / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")

    assert check_folder(snapshot)["model_type"] == "gpt2"

    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{}")
    refuse(snapshot, "leads out of")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "key", ["vocab_size", "n_positions", "n_layer", "n_embd", "n_inner", "n_head"]
)
def test_a_configuration_larger_than_its_weights_is_refused(folder: Path, key: str) -> None:
    """It would fill the memory before a library finds out."""
    edit(folder / "config.json", **{key: 2_000_000_000})

    refuse(folder, "more than its weights hold")


def test_a_file_of_settings_has_a_bounded_size(folder: Path) -> None:
    """A config of gigabytes is not read."""
    with (folder / "generation_config.json").open("wb") as file:
        file.truncate(1 << 33)

    refuse(folder, "too large")


def test_the_readme_cannot_fill_the_memory(folder: Path) -> None:
    """Its languages are read, and nested or endless ones are not."""
    laughs = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text, languages in {
        f"---\n{laughs}language: *i\n---\n": None,
        f"---\n{laughs}language: [*i, en]\n---\n": ("en",),
        "---\nlanguage: [no, EN]\n---\n": ("no", "en"),
        "---\nlanguage: {a: b}\n---\n": None,
        "---\nlanguage: en\n---\n" + "x" * (2 << 20): None,
        "---\nlanguage: !!python/object/apply:os.system ['touch canary']\n---\n": None,
    }.items():
        (folder / "README.md").write_text(text)

        assert inspect_model(str(folder)).languages == languages


def test_nothing_of_a_folder_runs_when_a_model_of_each_kind_is_checked(
    folder: Path, canary: Path
) -> None:
    """The check itself reads JSON and names only."""
    (folder / "evil.safetensors").write_bytes(pickle.dumps(Hostile(canary)))
    check_files(folder)
    (folder / "model.safetensors").write_bytes(pickle.dumps(Hostile(canary)))

    with pytest.raises(ModelError):
        load_model(str(folder), dtype="float32", device="cpu", threads=1)
    assert not canary.exists()
