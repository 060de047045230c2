"""Laws of adapters: a plain one is added to its base, everything else is refused unread."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from personalm.errors import ModelError
from personalm.generation.adapters import CONFIG, PROVENANCE, WEIGHTS, read_adapter
from personalm.generation.likelihood import score
from personalm.generation.models import inspect_model
from tests.generation.adapting import change, load, make_adapter, note_learned
from tests.hostile import Hostile

PAIR = ((5, 6, 7), (8, 9, 10, 11))


@pytest.fixture(params=["tiny_gpt2", "tiny_llama"])
def base(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each of the tiny models."""
    return Path(request.getfixturevalue(request.param))


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """Save an adapter with weights that change what the base says, as peft saves it."""
    return make_adapter(base, tmp_path / "adapter")


def test_an_adapter_changes_what_its_base_says_as_peft_would(base: Path, adapter: Path) -> None:
    """Merged on loading, it gives the numbers of the adapter beside its base."""
    from peft import PeftModel  # noqa: PLC0415 - heavy

    plain = load(base)
    merged = load(adapter)
    beside = load(base)
    beside.network.set_attn_implementation("sdpa")
    tuned: Any = PeftModel.from_pretrained(beside.network, str(adapter))
    ids = torch.tensor([[*PAIR[0], *PAIR[1]]])
    with torch.inference_mode():
        logits = tuned(input_ids=ids).logits.log_softmax(-1)[0]
    start = len(PAIR[0]) - 1
    expected = sum(logits[start + n, token].item() for n, token in enumerate(PAIR[1]))

    assert score(merged, [PAIR])[0].logprob == pytest.approx(expected, rel=1e-4)
    assert score(plain, [PAIR])[0].logprob != pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("layer", ["wte", "lm_head"])
def test_an_adapter_of_one_of_two_layers_that_share_a_weight_is_refused(
    tiny_gpt2: Path, tmp_path: Path, layer: str
) -> None:
    """Added to the embeddings, it would change the output layer as well."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - heavy

    tuned = get_peft_model(
        load(tiny_gpt2).network,
        LoraConfig(r=2, target_modules=[layer, "c_attn"], task_type="CAUSAL_LM"),
    )
    tuned.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    change(tmp_path / "adapter", base_model_name_or_path=str(tiny_gpt2), fan_in_fan_out=True)

    with pytest.raises(ModelError):
        load(tmp_path / "adapter")


def test_what_peft_warns_of_while_it_merges_is_a_refusal(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says of no error that the weights would be others than those that were trained."""
    from peft import PeftModel  # noqa: PLC0415 - heavy

    def warn(_self: Any) -> None:
        warnings.warn("merged into a layer that others share", stacklevel=1)

    monkeypatch.setattr(PeftModel, "merge_and_unload", warn, raising=False)

    with pytest.raises(ModelError, match="layer that others share"):
        load(adapter)


def test_the_card_of_an_adapter_names_its_base_and_covers_both(base: Path, adapter: Path) -> None:
    """Another base, other weights of the adapter or another rank are another model."""
    card, plain = inspect_model(str(adapter)), inspect_model(str(base))

    assert (card.name, card.adapter) == (str(base), str(adapter))
    assert card.max_positions == plain.max_positions
    assert card.digest != plain.digest
    weights = load_file(adapter / WEIGHTS)
    save_file({name: weight + 1 for name, weight in weights.items()}, adapter / WEIGHTS)
    assert inspect_model(str(adapter)).digest != card.digest


def test_an_adapter_of_another_version_of_its_base_is_refused(base: Path, adapter: Path) -> None:
    """Training has noted the digest of the base that the weights were learned beside."""
    note = adapter / PROVENANCE
    note.write_text(json.dumps({"base_digest": inspect_model(str(base)).digest}))
    assert inspect_model(str(adapter)).adapter

    note.write_text(json.dumps({"base_digest": "another"}))
    with pytest.raises(ModelError, match="another version"):
        inspect_model(str(adapter))


@pytest.mark.parametrize(
    "values",
    [
        {"auto_mapping": {"base_model_class": "os.system"}},
        {"modules_to_save": ["lm_head"]},
        {"layer_replication": [[0, 100_000]]},
        {"peft_type": "PROMPT_TUNING"},
        {"task_type": "SEQ_CLS"},
        {"target_modules": "(a+)+$"},
        {"target_modules": [{"a": 1}]},
        {"r": 1_000_000},
        {"r": 0},
        {"r": "8"},
        {"use_dora": True},
        {"init_lora_weights": "pissa"},
        {"megatron_config": {"a": 1}},
        {"bias": "all"},
        {"something_new": "value"},
        {"base_model_name_or_path": None},
        {"rank_pattern": {"a": 1_000_000}},
    ],
    ids=lambda values: next(iter(values)) + "=" + str(next(iter(values.values())))[:12],
)
def test_what_is_no_plain_adapter_is_refused(
    values: dict[str, Any], tmp_path: Path, tiny_gpt2: Path
) -> None:
    """No regular expressions, no modules of its own, no method that computes or loads something."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    plain = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(tiny_gpt2),
        "r": 4,
        "target_modules": ["c_attn"],
    }
    save_file({"weight": torch.zeros(1)}, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(plain))
    assert read_adapter(folder).base == str(tiny_gpt2)

    change(folder, **values)
    with pytest.raises(ModelError, match=r"plain LoRA adapter"):
        read_adapter(folder)


def test_a_pickle_is_never_opened(adapter: Path, tmp_path: Path) -> None:
    """Neither beside the safetensors nor instead of them."""
    import pickle  # noqa: PLC0415 - to plant one

    canary = tmp_path / "canary"
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Hostile(canary)))
    load(adapter)
    assert not canary.exists()

    (adapter / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="can run code"):
        load(adapter)
    assert not canary.exists()


def test_nothing_is_downloaded_because_an_adapter_says_so(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base that is not here is an error; the hub is not asked."""
    import huggingface_hub  # noqa: PLC0415 - slow

    asked: list[bool] = []
    real = huggingface_hub.snapshot_download

    def watch(*args: Any, **kwargs: Any) -> str:
        asked.append(not kwargs.get("local_files_only"))
        return str(real(*args, **{**kwargs, "local_files_only": True}))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", watch)
    change(adapter, base_model_name_or_path="someone/some-model")

    with pytest.raises(ModelError, match="base of an adapter"):
        inspect_model(str(adapter))
    assert asked == [False]


def test_an_adapter_of_an_adapter_is_refused(adapter: Path, tmp_path: Path) -> None:
    """One on top of the other is nothing that training makes."""
    other = shutil.copytree(adapter, tmp_path / "other")
    change(other, base_model_name_or_path=str(adapter))

    with pytest.raises(ModelError, match="adapter itself"):
        inspect_model(str(other))


def test_weights_that_fit_no_module_are_an_error(adapter: Path) -> None:
    """A library would warn, and write with half of an adapter."""
    weights = load_file(adapter / WEIGHTS)
    weights.pop(min(weights))
    save_file(weights, adapter / WEIGHTS)

    with pytest.raises(ModelError, match="cannot be added to its base"):
        load(adapter)


def test_without_the_package_the_remedy_is_named(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is of an extra."""
    monkeypatch.setitem(__import__("sys").modules, "peft", None)

    with pytest.raises(ModelError, match=r"personalm\[train\]"):
        load(adapter)


def test_an_adapter_writes_what_it_has_learned_and_its_base_the_rest(
    base: Path, adapter: Path
) -> None:
    """As training has noted it, or as the settings say; one that says nothing writes all."""
    plain = inspect_model(str(base))
    assert inspect_model(str(adapter)).writer_of("note").adapter

    note_learned(adapter, "post", "blurb")
    card = inspect_model(str(adapter))
    assert card.learned_kinds == ("blurb", "post")
    assert card.writer_of("post") is card
    assert card.writer_of("note") == plain

    told = inspect_model(str(adapter), adapter_kinds=("note",), languages=("nl",))
    assert told.writer_of("note") is told
    assert told.writer_of("post") == replace(plain, languages=("nl",))


@pytest.mark.parametrize("noted", [{}, [], None, "post", ["post"], 7])
def test_a_note_that_names_no_kinds_says_nothing(adapter: Path, noted: object) -> None:
    """Papers may have been made elsewhere."""
    (adapter / PROVENANCE).write_text(json.dumps({"templates": noted}))

    assert inspect_model(str(adapter)).learned_kinds is None
