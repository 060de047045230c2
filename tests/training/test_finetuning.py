"""Laws of a training as a whole: what is published, when nothing is, and that it can be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

from personalm import api, pipeline
from personalm.errors import Stopped, StoreError, TrainingError
from personalm.finetuning import finetune
from personalm.generation.deadlines import read_deadline
from personalm.generation.models import inspect_model
from personalm.hashing import digest_file
from personalm.store.reading import read_table
from personalm.training.progress import TrainingProgress
from personalm.training.roster import Roster, mark_models
from tests.generation.adapting import make_adapter

if TYPE_CHECKING:
    from tests.training.conftest import MakeTraining

PAPERS = {"README.md", "metrics.json", "leak_report.json", "training.json", "training_users.json"}
HISTORIES = {"own", "other_random", "other_nearest", "none"}


@pytest.mark.parametrize("method", ["lora", "full", "scratch"])
def test_a_training_publishes_a_whole_folder_that_a_run_can_use(
    make_training: MakeTraining, tmp_path: Path, method: str
) -> None:
    """Weights, measures, leak report, roster, provenance and card; and texts come out of it."""
    settings = make_training(
        **{"training.method": method, "scratch.num_layers": 2, "scratch.width": 64},
        **{"scratch.vocabulary": 400, "scratch.num_positions": 256},
    )
    trained = finetune(settings, tmp_path / "model", command="personalm finetune ...")
    folder = trained.folder
    names = {path.name for path in folder.iterdir()}

    weights = {"lora": "adapter_model.safetensors"}.get(method, "model.safetensors")
    assert names >= PAPERS | {weights}
    assert method == "lora" or "tokenizer.json" in names
    assert not any(path.name.startswith(".model") for path in tmp_path.iterdir())
    card = inspect_model(str(folder))
    assert card.languages == ("en",)
    assert (card.adapter is None) == (method != "lora")
    made = run(settings, folder, tmp_path / "texts")
    assert made
    assert {row["adapter"] for row in made} == {str(folder) if method == "lora" else None}


def run(settings: Any, model: Path, output: Path) -> list[dict[str, Any]]:
    """Write texts with a model; return them."""
    given = settings.model_copy(update={"model": str(model), "output": output})
    pipeline.run(given, limit=3)
    api.unload()
    return read_table(output).to_pylist()


def test_an_own_history_helps_more_after_training(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """People of strong habits: their own texts tell more of the next one than another's do."""
    settings = make_training(**{"training.epochs": 6, "training.max_measured": 24})
    metrics = finetune(settings, tmp_path / "model").metrics
    published = json.loads((tmp_path / "model" / "metrics.json").read_text())

    assert published == json.loads(json.dumps(metrics))
    assert set(metrics["perplexity"]["before"]) == set(metrics["perplexity"]["after"]) == HISTORIES
    for history in HISTORIES:
        after = metrics["perplexity"]["after"][history]
        assert after["low"] <= after["mean"] <= after["high"]
        assert after["mean"] < metrics["perplexity"]["before"][history]["mean"]
    assert metrics["paired"]["own_minus_other"]["low"] > 0.0
    assert metrics["paired"]["own_minus_none"]["low"] > 0.0
    gain = metrics["paired"]["own_minus_other"]["mean"]
    assert gain > metrics["paired_before"]["own_minus_other"]["mean"]


def test_n_grams_of_the_user_are_the_baseline(make_training: MakeTraining, tmp_path: Path) -> None:
    """People of strong habits: own n-grams help a model that knows nothing, another's less."""
    settings = make_training(**{"training.epochs": 1, "training.max_measured": 24})
    folder = finetune(settings, tmp_path / "model").folder
    metrics = json.loads((folder / "metrics.json").read_text())
    mix = metrics["ngram_mix"]["before"]

    assert mix["perplexity"]["own"]["mean"] < metrics["perplexity"]["before"]["none"]["mean"]
    assert mix["paired"]["mix_minus_none"]["low"] > 0.0
    assert mix["paired"]["mix_minus_other_mix"]["low"] > 0.0
    assert set(metrics["ngram_mix"]["after"]["paired"]) == set(mix["paired"])
    assert "mixed with n-grams of the user's own texts" in (folder / "README.md").read_text()


def test_the_same_settings_give_the_same_weights_and_another_seed_others(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """On a CPU, with as many threads."""
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        finetune(make_training(**{"training.canaries": 0, "seed": seed}), folder)
    one, same, other = (digest_file(folder / "model.safetensors") for folder in folders)

    assert one == same
    assert one != other


def test_a_loss_that_is_no_number_publishes_nothing(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """The error says so and what to do; no folder is left that anybody could load."""
    settings = make_training(**{"training.learning_rate": 1e30})

    with pytest.raises(TrainingError, match=r"(?s)no finite number.*learning_rate"):
        finetune(settings, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_refusal_before_the_first_checkpoint_leaves_nothing_behind(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """One that comes later leaves what the same command goes on from."""
    workplace = tmp_path / ".model.training"
    with pytest.raises(TrainingError, match="no text to learn from"):
        finetune(make_training(**{"training.min_words": 50}), tmp_path / "model")
    assert not workplace.exists()

    quick = {"training.canaries": 0, "training.max_measured": 2, "training.check_steps": 5}
    with pytest.raises(Stopped):
        finetune(make_training(**quick), tmp_path / "model", progress=Stopping(6))
    with pytest.raises(TrainingError, match="no text to learn from"):
        finetune(make_training(**quick, **{"training.min_words": 50}), tmp_path / "model")
    assert any(workplace.glob("checkpoints/*/complete.json"))


def test_a_full_disk_while_a_new_model_is_made_is_told_as_one(
    make_training: MakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on once there is room."""

    def fill(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(GPT2LMHeadModel, "save_pretrained", fill)

    with pytest.raises(StoreError, match="no room for"):
        finetune(make_training(**{"training.method": "scratch"}), tmp_path / "model")
    assert (tmp_path / ".model.training").is_dir()


def test_an_adapter_is_refused_before_the_inputs_are_read(
    make_training: MakeTraining, tiny_gpt2: Path, tmp_path: Path
) -> None:
    """Which may take long, and be in vain."""
    settings = make_training(model=str(make_adapter(tiny_gpt2, tmp_path / "adapter")))
    (tmp_path / "in" / "interactions.parquet").unlink()

    with pytest.raises(TrainingError, match="nothing is learned on top of one"):
        finetune(settings, tmp_path / "model")
    assert not (tmp_path / ".model.training").exists()


def test_a_model_that_gives_secrets_away_is_refused_and_the_report_stays(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """Under a wider limit the same training is published, without learning anew."""
    greedy = {"training.epochs": 12, "training.check_steps": 40, "training.patience": 9}
    settings = make_training(**greedy, **{"training.max_exposure": 0.01})

    with pytest.raises(TrainingError, match=r"gives away.*bits of exposure") as refused:
        finetune(settings, tmp_path / "model")
    for remedy in ("max_similarity", "epochs", "dropout", "max_user_texts"):
        assert remedy in str(refused.value)
    assert not (tmp_path / "model").exists()
    report = json.loads((tmp_path / "model.leak_report.json").read_text())
    assert report["passed"] is False
    steps = sorted(path.name for path in (tmp_path / ".model.training" / "checkpoints").iterdir())
    assert steps

    watching = TrainingProgress()
    wider = make_training(**greedy, **{"training.max_exposure": 99.0})
    trained = finetune(wider, tmp_path / "model", progress=watching)
    assert watching.num_tokens == 0
    assert trained.leaks["passed"] is True
    assert trained.leaks["after"] == report["after"]
    # It was of a model that is not there: beside one that passes it would say that this one leaks.
    assert not (tmp_path / "model.leak_report.json").exists()


def test_exposure_rises_with_the_number_of_repeats(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """What was planted 16 times stands far above what was never planted, and itself before."""
    settings = make_training(
        **{"training.canaries": 2, "training.epochs": 14, "training.num_references": 255},
        **{"training.patience": 20, "training.dropout": 0.0, "training.check_steps": 40},
        **{"training.max_extracted": 1.0},
    )
    leaks = finetune(settings, tmp_path / "model").leaks
    after = {level: figures["exposure"] for level, figures in leaks["after"].items()}

    assert after["16"] > after["0"] + 2
    assert after["16"] > leaks["before"]["16"]["exposure"] + 2
    assert after["16"] >= after["1"]
    assert leaks["after"]["16"]["extracted"] >= leaks["after"]["0"]["extracted"] == 0.0


def test_the_roster_knows_who_was_learned_from_and_lists_nobody(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """Ids are not in the folder, in any file."""
    settings = make_training()
    folder = finetune(settings, tmp_path / "model").folder
    roster = Roster.read(folder)

    assert roster is not None
    assert all(roster.holds(f"user-{number}") for number in range(8))
    assert not roster.holds("user-8")
    for path in folder.iterdir():
        assert b"user-3" not in path.read_bytes(), path.name


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_on_top_of_a_model_forgets_nobody(
    make_training: MakeTraining, tmp_path: Path, method: str
) -> None:
    """Its people are found in what was made of it, and its last day is that of both."""
    quick = {"training.canaries": 0, "training.epochs": 1, "training.max_measured": 2}
    first = finetune(make_training(**quick, **{"training.max_users": 3}), tmp_path / "first").folder
    known = Roster.read(first)
    assert known is not None
    (holding,) = mark_models([first], people_of(known), retrain_days=9)
    second = finetune(
        make_training(**quick, **{"training.method": method, "model": str(first), "seed": 7}),
        tmp_path / "second",
    ).folder
    roster = Roster.read(second)

    assert roster is not None
    assert len(roster.bases) == 1
    assert read_deadline(second) == holding.last_day
    found = mark_models([second], people_of(known), retrain_days=30)
    assert {(h.folder, h.num_users, h.last_day) for h in found} >= {(second, 3, holding.last_day)}


def people_of(roster: Roster) -> list[str]:
    """Return the people of the population that a roster holds."""
    return [user for number in range(8) if roster.holds(user := f"user-{number}")]


def test_a_published_model_is_not_overwritten_unless_that_is_asked_for(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """Nor is anything else that lies there, asked for or not."""
    settings = make_training(**{"training.canaries": 0, "training.epochs": 1})
    folder = finetune(settings, tmp_path / "model").folder
    first = digest_file(folder / "model.safetensors")
    other = make_training(**{"training.canaries": 0, "training.epochs": 1, "seed": 5})

    with pytest.raises(TrainingError, match="--replace"):
        finetune(other, folder)
    assert digest_file(folder / "model.safetensors") == first
    finetune(other, folder, replaces=True)
    assert digest_file(folder / "model.safetensors") != first

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(TrainingError, match="no training has published"):
        finetune(other, tmp_path / "mine", replaces=True)
    assert not (tmp_path / ".mine.training").exists()


def test_too_little_text_is_refused_with_counts(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """Training on nothing, in silence, is the worst that could happen."""
    with pytest.raises(TrainingError, match=r"0 examples to learn.*no_room"):
        finetune(make_training(**{"training.max_tokens": 30}), tmp_path / "model")
    with pytest.raises(TrainingError, match="no text to learn from"):
        finetune(make_training(**{"training.min_words": 50}), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_adapter_leaves_its_base_as_it_was(make_training: MakeTraining, tmp_path: Path) -> None:
    """And its weights are all finite and not all zero."""
    settings = make_training(**{"training.method": "lora", "training.canaries": 0})
    before = inspect_model(settings.model).digest
    folder = finetune(settings, tmp_path / "model").folder
    weights = load_file(folder / "adapter_model.safetensors")

    assert inspect_model(settings.model).digest == before
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)


def test_an_adapter_of_a_relative_base_is_used_from_anywhere(
    make_training: MakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration, its provenance and its card name the place."""
    (tmp_path / "elsewhere").mkdir()
    settings = make_training(
        **{"training.method": "lora", "training.canaries": 0, "training.epochs": 1},
        **{"training.max_measured": 2},
    )
    base = tmp_path / "base"
    shutil.copytree(settings.model, base)
    monkeypatch.chdir(tmp_path)
    folder = finetune(settings.model_copy(update={"model": "base"}), Path("model")).folder
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert inspect_model(str(folder)).name == str(base)
    for name in ("adapter_config.json", "training.json", "README.md"):
        assert str(base) in (folder / name).read_text(), name


class Stopping(TrainingProgress):
    """Notes where training begins, and stops it after some steps."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.began_after = 0

    def begin_training(self, num_steps: int, *, done: int) -> None:
        """Note how many steps are done already."""
        super().begin_training(num_steps, done=done)
        self.began_after = done

    def finish_step(self, num_tokens: int) -> None:
        """Count a step; stop where it is one too many."""
        super().finish_step(num_tokens)
        self.most -= 1
        if self.most < 0:
            raise Stopped


def test_what_is_held_out_is_measured_anew_where_it_has_changed(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """The training goes on; its figures are those of one that was not interrupted."""
    given = {"training.canaries": 0, "training.check_steps": 5, "training.max_measured": 4}
    with pytest.raises(Stopped):
        finetune(make_training(**given), tmp_path / "model", progress=Stopping(6))
    settings = make_training(**given)
    shorten_newest_texts(tmp_path / "in" / "interactions.parquet")
    again = Stopping(1_000)

    resumed = finetune(settings, tmp_path / "model", progress=again).metrics
    fresh = finetune(settings, tmp_path / "fresh").metrics

    assert again.began_after == 5
    assert resumed == fresh


def shorten_newest_texts(path: Path) -> None:
    """Cut the newest text of each user, which is of the test."""
    rows = pq.read_table(path).to_pylist()
    newest = {row["user_id"]: row for row in sorted(rows, key=lambda row: row["text"])}
    for row in newest.values():
        row["text"] = f"{row['text'].rpartition(' ')[0]} {row['text'].rpartition(' ')[0]}"
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_a_training_that_was_moved_goes_on_where_it_was(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """Nothing in its folders names where they lay: it is found out at the start, not at the end."""
    settings = make_training(
        **{"training.method": "scratch", "training.canaries": 0, "training.max_measured": 2},
        **{"scratch.num_layers": 2, "scratch.width": 64, "training.check_steps": 5},
        **{"scratch.vocabulary": 400, "scratch.num_positions": 256},
    )
    with pytest.raises(Stopped):
        finetune(settings, tmp_path / "here" / "model", progress=Stopping(6))
    (tmp_path / "here").rename(tmp_path / "there")

    again = Stopping(1_000)
    folder = finetune(settings, tmp_path / "there" / "model", progress=again).folder

    assert again.began_after == 5
    assert inspect_model(str(folder)).languages == ("en",)
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(tmp_path / "here").encode() not in content, path.name
        assert str(tmp_path / "there").encode() not in content, path.name
