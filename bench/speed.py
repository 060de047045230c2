"""Time the engine beside transformers' own `generate`, on the sample prompts, in one process.

    python -m bench.speed            # or: make bench

Both draw the same number of candidates for the same prompts at the same sampling settings, with
the same model in the same dtype. Only generated tokens are counted. Rounds are interleaved and the
medians printed. `generate` is given its best of the batch sizes and attentions tried.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from personalm.forecasting import open_plans
from personalm.generation.loading import LoadedModel, load_model
from personalm.generation.shared_prefix import SHARED_PREFIX
from personalm.generation.torch_engine import TorchEngine
from personalm.prompting.prompter import Prompter
from personalm.records import Prompt
from personalm.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NUM_PROMPTS = 8
NUM_CANDIDATES = 4
NUM_NEW_TOKENS = 32
ROUNDS = 2
BATCH_SIZES = (4, 8)
ATTENTIONS = ("eager", "sdpa")
OUTPUT = Path("bench-output") / "speed.json"


def main() -> None:
    """Print the table and write it as JSON."""
    settings = load_settings(Path("personalm.toml"))
    model = load_model(settings.model, dtype="auto", device="cpu", threads=0)
    prompts = make_prompts(settings, model)
    systems: dict[str, Callable[[], int]] = {
        "personalm": lambda: run_engine(model, prompts),
    }
    for size, attention in product(BATCH_SIZES, ATTENTIONS):
        systems[f"generate, {size} prompts, {attention}"] = partial(
            run_generate, model, prompts, size, attention
        )
    rates = measure(systems)
    print(
        f"{model.card.name}, {model.dtype}, {torch.get_num_threads()} threads, "
        f"{NUM_PROMPTS} prompts of {sum(len(p.token_ids) for p in prompts) // NUM_PROMPTS} "
        f"tokens on average, {NUM_CANDIDATES} candidates, {NUM_NEW_TOKENS} new tokens at most"
    )
    for name, values in rates.items():
        print(
            f"{name:<32} {statistics.median(values):7.1f} tokens/s"
            f"   ({min(values):.1f} to {max(values):.1f})"
        )
    best = max(statistics.median(v) for n, v in rates.items() if n != "personalm")
    ratio = statistics.median(rates["personalm"]) / best
    print(f"ratio over the best setting of generate: {ratio:.2f}")
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({"tokens_per_s": rates, "ratio_over_generate": ratio}, indent=1))


def make_prompts(settings: Settings, model: LoadedModel) -> list[Prompt]:
    """Return prompts of the sample requests, made by the real planner and prompter."""
    generation = settings.generation.model_copy(
        update={"candidates": NUM_CANDIDATES, "max_new_tokens": NUM_NEW_TOKENS}
    )
    with open_plans(settings) as (assembly, plans):
        prompter = Prompter(
            kinds=assembly.kinds,
            prompting=settings.prompting,
            generation=generation,
            tokenizer=model.tokenizer,
            max_positions=model.card.max_positions,
            seed=0,
        )
        tasks = [task for plan in plans for unit in plan.units for task in unit.tasks]
        made = [prompter.prompt(task, batch="all") for task in tasks[:NUM_PROMPTS]]
    prompts = [prompt for prompt in made if isinstance(prompt, Prompt)]
    # What only one side has is switched off: both do the same work.
    plain = [
        replace(p.sampling, stop=(), repetition_penalty=1.0, no_repeat_ngram=0) for p in prompts
    ]
    return [replace(p, sampling=s) for p, s in zip(prompts, plain, strict=True)]


def measure(systems: dict[str, Callable[[], int]]) -> dict[str, list[float]]:
    """Return tokens a second of each system in each round, a first round not counted."""
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(ROUNDS + 1):
        for name, run in systems.items():
            began = time.perf_counter()
            num_tokens = run()
            if number:
                rates[name].append(num_tokens / (time.perf_counter() - began))
    return rates


def run_engine(model: LoadedModel, prompts: Sequence[Prompt]) -> int:
    """Return the number of tokens that the engine draws."""
    network: Any = model.network
    network.set_attn_implementation(SHARED_PREFIX)
    engine = TorchEngine(model, max_batch_tokens=16_384)
    return sum(s.num_tokens for draw in engine.generate(iter(prompts)) for s in draw.samples)


@torch.inference_mode()
def run_generate(model: LoadedModel, prompts: Sequence[Prompt], size: int, attention: str) -> int:
    """Return the number of tokens that transformers' generate draws, end tokens not counted."""
    network: Any = model.network
    network.set_attn_implementation(attention)
    num_tokens = 0
    ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids))
    ends = torch.tensor(sorted(model.eos_ids))
    for start in range(0, len(ordered), size):
        batch = ordered[start : start + size]
        width = max(len(p.token_ids) for p in batch)
        ids = torch.tensor(
            [[model.pad_id] * (width - len(p.token_ids)) + list(p.token_ids) for p in batch]
        )
        mask = torch.tensor(
            [[0] * (width - len(p.token_ids)) + [1] * len(p.token_ids) for p in batch]
        )
        sampling = batch[0].sampling
        output = network.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            num_return_sequences=NUM_CANDIDATES,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            max_new_tokens=NUM_NEW_TOKENS,
            pad_token_id=model.pad_id,
            eos_token_id=sorted(model.eos_ids),
        )
        new = output[:, width:]
        ended = torch.isin(new, ends).cumsum(-1) > 0
        num_tokens += int((~ended).sum())
    return num_tokens


if __name__ == "__main__":
    main()
