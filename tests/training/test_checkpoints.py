"""Laws of checkpoints: one is complete or not there, and the best one stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from personalm.store.files import LocalFiles
from personalm.training.checkpoints import Checkpoints, best_of, has_lost_patience

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Return the checkpoints of an empty folder."""
    return Checkpoints(tmp_path, LocalFiles())


def write(checkpoints: Checkpoints, step: int, *losses: float, is_complete: bool = True) -> Path:
    """Write the files of a checkpoint, as a trainer would."""
    folder = checkpoints.folder / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights of %d" % step)
    (folder / "optimizer.pt").write_bytes(b"moments of %d" % step)
    history = [{"eval_loss": loss} for loss in losses] + [{"loss": 0.5}]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    if is_complete:
        checkpoints.complete(step, seconds=1.5, num_tokens=7)
    return folder


def test_only_complete_checkpoints_are_seen_and_the_others_go(checkpoints: Checkpoints) -> None:
    """What a kill has left is removed: a training that goes on would meet it again."""
    write(checkpoints, 5, 2.0)
    half = write(checkpoints, 10, 2.0, 1.0, is_complete=False)

    assert [(c.step, c.loss, c.seconds, c.num_tokens) for c in checkpoints.all()] == [
        (5, 2.0, 1.5, 7)
    ]
    assert not half.exists()


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "mark"])
def test_a_damaged_checkpoint_is_none(checkpoints: Checkpoints, harm: str) -> None:
    """A file that is missing, shorter or other than when it was complete is never read."""
    folder = write(checkpoints, 5, 2.0)
    path = folder / "optimizer.pt"
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "changed":
        path.write_bytes(path.read_bytes()[::-1])
    elif harm == "gone":
        path.unlink()
    else:
        (folder / "complete.json").write_text('{"step": 5')

    assert checkpoints.all() == ()
    assert not folder.exists()


def test_the_best_and_the_newest_stay(checkpoints: Checkpoints) -> None:
    """Those between them are of no use."""
    losses = (3.0, 1.0, 2.0, 2.5)
    for number in range(4):
        write(checkpoints, 5 * (number + 1), *losses[: number + 1])
        checkpoints.thin()

    found = checkpoints.all()
    assert [c.step for c in found] == [10, 20]
    assert best_of(found).step == 10


def test_a_folder_may_be_moved(checkpoints: Checkpoints, tmp_path: Path) -> None:
    """Nothing in it names where it lay."""
    write(checkpoints, 5, 2.0)
    moved = (tmp_path / "checkpoint-5").parent.rename(tmp_path.with_name("moved"))

    assert [c.step for c in Checkpoints(moved, LocalFiles()).all()] == [5]


def test_patience_counts_looks_since_the_best() -> None:
    """An equal loss is no better one."""
    assert not has_lost_patience([], 1)
    assert not has_lost_patience([3.0, 2.0, 1.0], 1)
    assert not has_lost_patience([1.0, 2.0], 2)
    assert has_lost_patience([1.0, 1.0], 1)
    assert has_lost_patience([2.0, 1.0, 1.5, 1.2], 2)
