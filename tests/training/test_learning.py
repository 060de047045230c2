"""Laws of learning: a text that was learned by heart is written, and it ends where it ends."""

from __future__ import annotations

import errno
import tempfile
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import SafetensorError
from transformers import Trainer

from personalm.errors import StoreError, TrainingError
from personalm.generation.loading import LoadedModel, load_model
from personalm.generation.models import inspect_model
from personalm.settings import Generation, Training
from personalm.store.files import LocalFiles
from personalm.training.checkpoints import Checkpoints
from personalm.training.examples import Example
from personalm.training.fitting import fit
from personalm.training.materials import end_of
from personalm.training.networks import open_trainee
from personalm.training.progress import TrainingProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TEXTS = {"Morning:": " the kettle sings", "Evening:": " the harbour light is good and grey"}
GENERATION = Generation(dtype="float32", device="cpu", threads=1)


def examples_of(model: LoadedModel) -> list[Example]:
    """Make two examples of different lengths, each with its end."""
    encode, end = model.tokenizer.encode, end_of(model)
    return [
        Example(
            author=row,
            tier="0",
            prompt_ids=(*model.tokenizer.prefix_ids, *encode(prompt)),
            target_ids=(*encode(target), end),
        )
        for row, (prompt, target) in enumerate(TEXTS.items())
    ]


def learn(base: Path, folder: Path, examples: Sequence[Example], **given: object) -> LoadedModel:
    """Train all weights; return the network of the last step."""
    training = Training(
        **{"method": "full", "epochs": 60, "learning_rate": 3e-3, "batch_tokens": 64}
        | {"accumulation": 1, "check_steps": 1000, "dropout": 0.0, "patience": 99}
        | given  # type: ignore[arg-type]  # settings by their names
    )
    trainee = open_trainee(
        inspect_model(str(base)), training=training, generation=GENERATION, seed=0
    )
    fit(
        trainee,
        examples=examples,
        validation=examples,
        training=training,
        seed=0,
        checkpoints=Checkpoints(folder, LocalFiles()),
        progress=TrainingProgress(),
    )
    return trainee.base


def draw(model: LoadedModel, prompt: Sequence[int], most: int = 30) -> list[int]:
    """Draw the likeliest tokens until an end."""
    ids = list(prompt)
    model.network.train(mode=False)
    with torch.inference_mode():
        for _ in range(most):
            logits = model.network(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
            if ids[-1] in model.eos_ids:
                break
    return ids[len(prompt) :]


def test_a_text_that_is_learned_by_heart_ends_where_it_ends(
    tiny_gpt2: Path, tmp_path: Path
) -> None:
    """The pad is the end of text as well, and the end is learned all the same."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    assert plain.pad_id == end_of(plain)
    examples = examples_of(plain)
    model = learn(tiny_gpt2, tmp_path, examples)

    for example in examples:
        assert tuple(draw(model, example.prompt_ids)) == example.target_ids


def test_prompts_are_not_learned(tiny_gpt2: Path, tmp_path: Path) -> None:
    """After learning the targets by heart, the words of a prompt are no likelier than they were."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    examples = examples_of(plain)
    model = learn(tiny_gpt2, tmp_path, examples)

    def loss(of: LoadedModel, ids: Sequence[int]) -> float:
        with torch.inference_mode():
            whole = torch.tensor([ids])
            value: float = of.network(input_ids=whole, labels=whole).loss.item()
        return value

    plain.network.set_attn_implementation("sdpa")
    for example in examples:
        assert loss(model, example.prompt_ids) > loss(plain, example.prompt_ids) - 0.5
        whole = (*example.prompt_ids, *example.target_ids)
        assert loss(model, whole) < loss(plain, whole)


def test_the_weights_that_are_published_are_those_of_the_lowest_loss(
    tiny_gpt2: Path, tmp_path: Path
) -> None:
    """Where the loss on other texts rises, training ends early, and the best checkpoint stays."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    learned, other = examples_of(plain)
    training = Training(
        method="full", epochs=80, learning_rate=3e-3, batch_tokens=64, accumulation=1,
        check_steps=2, dropout=0.0, patience=3,
    )  # fmt: skip
    trainee = open_trainee(
        inspect_model(str(tiny_gpt2)), training=training, generation=GENERATION, seed=0
    )
    checkpoints = Checkpoints(tmp_path, LocalFiles())
    best = fit(
        trainee,
        examples=[learned],
        validation=[other],
        training=training,
        seed=0,
        checkpoints=checkpoints,
        progress=TrainingProgress(),
    )
    newest = checkpoints.all()[-1]

    assert newest.step < 80
    assert newest.step == best.step + 3 * 2
    assert best.loss == min(newest.losses)


@pytest.mark.parametrize("hours", [1e-6])
def test_a_budget_of_time_ends_training_with_a_checkpoint(
    tiny_gpt2: Path, tmp_path: Path, hours: float
) -> None:
    """What was learned until then can be published."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    learn(tiny_gpt2, tmp_path, examples_of(plain), max_hours=hours)

    (only,) = Checkpoints(tmp_path, LocalFiles()).all()
    assert only.step == 1


def test_a_validation_loss_that_is_no_number_ends_training(tiny_gpt2: Path, tmp_path: Path) -> None:
    """No checkpoint of it is complete."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)

    with pytest.raises(TrainingError, match="no finite number"):
        learn(tiny_gpt2, tmp_path, examples_of(plain), learning_rate=1e30)
    assert Checkpoints(tmp_path, LocalFiles()).all() == ()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["device", "python", "cpu"],
)
def test_memory_that_runs_out_is_told_with_what_to_lower(
    tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is no fault of the program."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    monkeypatch.setattr(Trainer, "compute_loss", raising(error))

    with pytest.raises(TrainingError, match=r"(?s)memory.*batch_tokens.*training\.max_tokens"):
        learn(tiny_gpt2, tmp_path, examples_of(plain))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
    ids=["python", "safetensors", "torch"],
)
def test_a_full_disk_at_a_checkpoint_is_told_as_one(
    tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whichever library meets it; on a disk with room its error is another."""
    plain = load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)
    monkeypatch.setattr(Trainer, "_save_checkpoint", raising(error))
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError, match="PytorchStreamWriter"):
            learn(tiny_gpt2, tmp_path, examples_of(plain), epochs=1)
        monkeypatch.setattr(tempfile, "TemporaryFile", raising(OSError(errno.EDQUOT, "quota")))

    with pytest.raises(StoreError, match=f"no room for {tmp_path}"):
        learn(tiny_gpt2, tmp_path, examples_of(plain), epochs=1)


def raising(error: Exception) -> Callable[..., None]:
    """Return a function that raises an error, whatever it is given."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
