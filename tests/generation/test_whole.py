"""Architectures that no batches are tested with write as transformers' `generate` does."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from personalm.errors import TrainingError
from personalm.generation.guards import LONE_TYPES
from personalm.generation.likelihood import score
from personalm.generation.loading import LoadedModel, load_model
from personalm.generation.packing import pack_model
from personalm.generation.torch_engine import TorchEngine
from personalm.settings import Generation, Training
from tests.generation.reference import generated

if TYPE_CHECKING:
    from pathlib import Path

    from tests.generation.conftest import MakePrompt

_SAMPLE = ("bloom", "falcon", "gemma2", "gpt_oss", "gptj", "mamba", "mpt", "opt")
"""One of each kind: positions by distance, by rotation, learned, none; windows, sinks, states."""

TYPES = sorted(LONE_TYPES if os.environ.get("FAMILIES") == "all" else _SAMPLE)

TEXTS = ("I went", "Down by the river the boats lay still", "Hm")
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "ffn_dim", "n_inner"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "intermediate_size", "moe_intermediate_size"), 32),
    **dict.fromkeys(("shared_expert_intermediate_size",), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers"), 2),
    **dict.fromkeys(
        ("num_attention_heads", "attention_heads", "num_heads", "n_head", "n_heads"), 4
    ),
    **dict.fromkeys(("num_experts", "num_local_experts", "num_experts_per_tok"), 2),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 256),
    "head_dim": 8,
    "initializer_range": 0.4,
    "num_key_value_heads": 2,
    "rotary_dim": 4,
    "sliding_window": 8,
    "window_size": 8,
}
_ENDS = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}


def make_folder(model_type: str, beside: Path, folder: Path, vocabulary: int) -> Path:
    """Save a small model with random weights and the tokenizer of another."""
    known = AutoConfig.for_model(model_type).to_dict()
    sizes = {name: size for name, size in _SIZES.items() if known.get(name, ...) is not ...}
    if model_type == "gpt_neo":
        sizes["attention_types"] = [[["global", "local"], 1]]
    config = AutoConfig.for_model(model_type, vocab_size=vocabulary, **sizes, **_ENDS)
    set_seed(5)
    network: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # no types
    network.generation_config.repetition_penalty = 3.0
    network.save_pretrained(folder)
    for path in beside.glob("*token*"):
        shutil.copy(path, folder)
    return folder


def load(folder: Path) -> LoadedModel:
    """Load in float32 on one thread of the processor, as a run does."""
    model = load_model(str(folder), dtype="float32", device="cpu", threads=1)
    pack_model(model)
    return model


@pytest.mark.parametrize("model_type", TYPES)
def test_an_architecture_of_the_list_writes_and_scores_as_transformers_does(
    gpt2: LoadedModel, tiny_gpt2: Path, tmp_path: Path, make_prompt: MakePrompt, model_type: str
) -> None:
    """Greedily the tokens of `generate`, and drawn the same in any company.

    Scored, the numbers of one reading. What the folder wishes for is not heeded.
    """
    model = load(make_folder(model_type, tiny_gpt2, tmp_path / "model", gpt2.num_embeddings))
    plain: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    greedy = [make_prompt(text, user=text, model=model, temperature=0.0) for text in TEXTS]
    drawn = [make_prompt(text, user=text, model=model, num_candidates=3) for text in TEXTS]

    together = list(TorchEngine(model).generate([*greedy, *drawn]))
    alone = [next(iter(TorchEngine(model).generate([prompt]))) for prompt in drawn]

    assert [draw.error for draw in together] == [None] * 6
    assert together[3:] == alone
    for prompt, draw in zip(greedy, together, strict=False):
        limit = prompt.sampling.max_new_tokens
        (new,) = generated(
            plain, prompt.token_ids, max_new_tokens=limit, do_sample=False, eos_token_id=0
        )
        assert draw.samples[0].text == model.tokenizer.decode(new).rstrip("\ufffd")
    before, target = drawn[1].token_ids, drawn[0].token_ids
    with torch.inference_mode():
        logits = plain(input_ids=torch.tensor([[*before, *target]])).logits[0, len(before) - 1 :]
    expected = [float(row[n]) for row, n in zip(logits.log_softmax(-1), target, strict=False)]
    found = score(model, [(before, target), (before[:2], target[:1])])[0]
    assert found.logprobs == pytest.approx(expected, abs=2e-3)


@pytest.fixture
def opt(gpt2: LoadedModel, tiny_gpt2: Path, tmp_path: Path) -> Path:
    """Make a small OPT."""
    return make_folder("opt", tiny_gpt2, tmp_path / "opt", gpt2.num_embeddings)


def test_candidates_are_those_of_their_seeds_and_stop_where_they_should(
    opt: Path, make_prompt: MakePrompt, caplog: pytest.LogCaptureFixture
) -> None:
    """The first is the same with one and with eight; that it is slower is said once."""
    model = load(opt)
    one = make_prompt("I went", model=model, num_candidates=1)
    many = replace(one, num_candidates=8)
    short = replace(one, sampling=replace(one.sampling, stop=("e",)))

    draws = list(TorchEngine(model).generate([one, many, short]))

    assert draws[0].samples[0] == draws[1].samples[0]
    assert len(set(draws[1].samples)) > 4
    assert draws[2].samples[0].text == draws[0].samples[0].text.partition("e")[0]
    assert caplog.text.count("a prompt at a time") == 1


def test_a_prompt_that_breaks_the_model_breaks_no_other(
    opt: Path, make_prompt: MakePrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that has no room."""
    model = load(opt)
    generate: Any = model.network.generate
    bad = make_prompt("bad", user="b", model=model)

    def refuse(ids: torch.Tensor, **rest: Any) -> Any:
        if tuple(ids[0].tolist()) == bad.token_ids:
            raise ValueError("no")
        return generate(ids, **rest)

    monkeypatch.setattr(model.network, "generate", refuse)
    good = make_prompt("good", user="g", model=model)
    long = replace(good, token_ids=good.token_ids * 200)

    draws = list(TorchEngine(model).generate([good, bad, long]))

    assert [draw.error is None for draw in draws] == [True, False, False]
    assert "ValueError" in str(draws[1].error)
    assert "do not fit" in str(draws[2].error)


def test_such_a_model_is_not_trained(opt: Path) -> None:
    """Batches of a training are filled up, and nobody knows what it makes of that."""
    from personalm.generation.models import inspect_model  # noqa: PLC0415 - the heavy side
    from personalm.training.networks import open_trainee  # noqa: PLC0415 - the same

    with pytest.raises(TrainingError, match="not tested"):
        open_trainee(inspect_model(str(opt)), training=Training(), generation=Generation(), seed=0)
