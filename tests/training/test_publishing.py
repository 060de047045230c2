"""The law of publishing: whichever file call fails, there is a whole folder or none."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from personalm.errors import PersonalmError, TrainingError
from personalm.generation.models import inspect_model
from personalm.hashing import digest_file
from personalm.store.files import LocalFiles
from personalm.training.checkpoints import Checkpoint
from personalm.training.publishing import draft_model, finish_draft, publish
from personalm.training.workplace import BEFORE, Workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Failing(LocalFiles):
    """Files of which the n-th call fails, and with a full disk all after it; 0 fails none."""

    def __init__(self, fatal: int = 0, error: BaseException | None = None) -> None:
        self.fatal = fatal
        self.error = error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.num_calls = 0

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Count the call and do it, or fail."""
        self.num_calls += 1
        is_full = isinstance(self.error, OSError) and self.num_calls > self.fatal
        if self.fatal and (self.num_calls == self.fatal or is_full):
            raise self.error
        return function(*args, **kwargs)


@pytest.fixture
def checkpoint(tiny_gpt2: Path, tmp_path: Path) -> Checkpoint:
    """Return a checkpoint with the weights of the tiny GPT-2."""
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        shutil.copy(tiny_gpt2 / name, folder / name)
    return Checkpoint(folder=folder, step=1, losses=(1.0,), seconds=1.0, num_tokens=1)


def put(
    output: Path,
    checkpoint: Checkpoint,
    base: Path,
    *,
    note: bytes = b"{}",
    files: LocalFiles | None = None,
    replaces: bool = False,
) -> None:
    """Publish the weights of a checkpoint, as a training does."""
    with Workplace.open(output, replaces=replaces, files=files) as place:
        place.begin("fingerprint")
        draft_model(place, checkpoint, base_folder=base)
        finish_draft(place, {"training.json": note, "README.md": b"# A model\n"})
        publish(place, replaces=replaces)
        place.clear()


def digests_of(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a folder."""
    return {path.name: digest_file(path) for path in folder.iterdir()}


ERRORS = [None, KeyboardInterrupt(), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=["full disk", "ctrl-c", "no memory"])
def test_whichever_file_call_fails_the_folder_is_whole_or_not_there(
    checkpoint: Checkpoint, tiny_gpt2: Path, memory_path: Path, error: BaseException | None
) -> None:
    """Every call, the first to the last; the same call afterwards ends the work."""
    counted = Failing()
    put(memory_path / "right", checkpoint, tiny_gpt2, files=counted)
    right = digests_of(memory_path / "right")
    assert set(right) > {"model.safetensors", "config.json", "tokenizer.json", "training.json"}
    num_whole = 0
    for fatal in range(1, counted.num_calls + 1):
        output = memory_path / f"model-{fatal}"
        # Some failures cost nothing: of a probe, or of the removal of what is not there.
        with suppress(PersonalmError, KeyboardInterrupt, MemoryError):
            put(output, checkpoint, tiny_gpt2, files=Failing(fatal, error))
        if output.exists():
            num_whole += 1
            assert digests_of(output) == right
            shutil.rmtree(output)
        put(output, checkpoint, tiny_gpt2)
        assert digests_of(output) == right
        inspect_model(str(output))
        assert [path.name for path in memory_path.iterdir() if path.name.startswith(".")] == []
    assert 0 < num_whole < counted.num_calls


@pytest.mark.parametrize("error", ERRORS, ids=["full disk", "ctrl-c", "no memory"])
def test_a_model_that_is_being_replaced_is_the_old_one_or_the_new_one(
    checkpoint: Checkpoint, tiny_gpt2: Path, memory_path: Path, error: BaseException | None
) -> None:
    """A crash between the two renames leaves the old one aside; the next call puts it back."""
    counted = Failing()
    output = memory_path / "model"
    put(output, checkpoint, tiny_gpt2, note=b'{"a": 1}')
    old = digests_of(output)
    put(output, checkpoint, tiny_gpt2, note=b'{"a": 2}', files=counted, replaces=True)
    new = digests_of(output)
    num_aside = 0
    for fatal in range(1, counted.num_calls + 1):
        put(output, checkpoint, tiny_gpt2, note=b'{"a": 1}', replaces=True)
        with suppress(PersonalmError, KeyboardInterrupt, MemoryError):
            put(
                output,
                checkpoint,
                tiny_gpt2,
                note=b'{"a": 2}',
                files=Failing(fatal, error),
                replaces=True,
            )
        num_aside += not output.exists()
        # Whoever asks next, even in vain, finds the old model in its place again.
        with pytest.raises(TrainingError, match="--replace"):
            put(output, checkpoint, tiny_gpt2)
        assert digests_of(output) in (old, new)
    assert num_aside > 0


def test_a_folder_that_was_filled_meanwhile_is_left_alone(
    checkpoint: Checkpoint, tiny_gpt2: Path, tmp_path: Path
) -> None:
    """The rename refuses it, as the look before it does."""
    output = tmp_path / "model"

    class Filling(LocalFiles):
        def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if function is os.rename:
                output.mkdir()
                (output / "diary.txt").write_text("dear diary")
            return function(*args, **kwargs)

    with pytest.raises(TrainingError, match="filled meanwhile"):
        put(output, checkpoint, tiny_gpt2, files=Filling())
    assert [path.name for path in output.iterdir()] == ["diary.txt"]


def test_two_trainings_of_one_output_exclude_each_other(tmp_path: Path) -> None:
    """The second one is refused at once."""
    with (
        Workplace.open(tmp_path / "model", replaces=False),
        pytest.raises(PersonalmError, match="held by another"),
        Workplace.open(tmp_path / "model", replaces=False),
    ):
        pass


def test_what_another_training_has_left_is_cleared(tmp_path: Path) -> None:
    """A training goes on under its own fingerprint alone."""
    for fingerprint, is_kept in (("a", False), ("a", True), ("b", False)):
        with Workplace.open(tmp_path / "model", replaces=False) as place:
            place.begin(fingerprint)
            for mark in (place.checkpoints / "mark", place.folder / BEFORE):
                assert mark.exists() == is_kept
                mark.touch()
            assert (place.folder.stat().st_mode & 0o077) == 0
