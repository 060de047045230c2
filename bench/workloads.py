"""What is written in a comparison of speed: model, prompts, and how many tokens.

- `w1`: a GPT-2 of 124 million random weights, prompts of 60 to 200 random tokens, 4 candidates of
  exactly 48 tokens each. Only arithmetic counts.
- `w2`: the bundled model, prompts of the sample requests made by the real planner and prompter,
  8 candidates that end where they end.
- `w3`: the bundled model at the shape of `w1`.
- `LENGTHxN`: the model of `w1`, prompts of exactly that length, N candidates of 48 tokens.

Sampling is the same everywhere: temperature 1, top-k 50, top-p 0.95, no penalties.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from personalm.records import Key, Prompt, Sampling

if TYPE_CHECKING:
    from personalm.settings import Settings

FOLDER = Path("bench-output")
RANDOM_GPT2 = FOLDER / "gpt2-random"
BUNDLED = "bundled:smollm2-135m"
_VOCABULARY = 50_257


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A model by name, prompts with their numbers of candidates, and whether texts may end."""

    name: str
    model: str
    prompts: tuple[Prompt, ...]
    num_candidates: int
    num_new_tokens: int
    is_fixed: bool

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of all prompts, each prompt once."""
        return sum(len(prompt.token_ids) for prompt in self.prompts)


def make_workload(name: str, *, num_prompts: int) -> Workload:
    """Return a workload by its name; `w1` writes its model to disk where it is not there yet."""
    if name == "w2":
        prompts = _sample_prompts(num_prompts)
        return Workload(
            name=name,
            model=BUNDLED,
            prompts=prompts,
            num_candidates=8,
            num_new_tokens=48,
            is_fixed=False,
        )
    shortest, longest, num_candidates = 60, 200, 4
    if "x" in name:
        length, _, number = name.partition("x")
        shortest = longest = int(length)
        num_candidates = int(number)
    if name != "w3":
        _make_random_gpt2()
    return Workload(
        name=name,
        model=BUNDLED if name == "w3" else str(RANDOM_GPT2),
        prompts=_random_prompts(num_prompts, shortest, longest, num_candidates),
        num_candidates=num_candidates,
        num_new_tokens=48,
        is_fixed=True,
    )


def _sampling(num_new_tokens: int) -> Sampling:
    return Sampling(max_new_tokens=num_new_tokens, temperature=1.0, top_k=50, top_p=0.95)


def _random_prompts(
    num_prompts: int, shortest: int, longest: int, num_candidates: int
) -> tuple[Prompt, ...]:
    numbers = random.Random(0)  # noqa: S311 - no secret
    return tuple(
        Prompt(
            key=Key(user_id=f"u{number}", kind="post", subject_id="s"),
            text="",
            token_ids=tuple(
                numbers.randrange(1_000, 40_000) for _ in range(numbers.randint(shortest, longest))
            ),
            sampling=_sampling(48),
            num_candidates=num_candidates,
            seed=0,
            batch="all",
        )
        for number in range(num_prompts)
    )


def _sample_prompts(num_prompts: int) -> tuple[Prompt, ...]:
    """Return prompts of the sample requests, of all kinds alike."""
    from personalm.forecasting import open_plans  # noqa: PLC0415 - reads tables
    from personalm.generation.loading import load_model  # noqa: PLC0415 - loads torch
    from personalm.prompting.prompter import Prompter  # noqa: PLC0415 - the same
    from personalm.settings import load_settings  # noqa: PLC0415 - the same

    settings: Settings = load_settings(Path("personalm.toml"))
    generation = settings.generation.model_copy(update={"candidates": 8, "max_new_tokens": 48})
    model = load_model(settings.model, dtype="bfloat16", device="cpu", threads=1)
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
        tasks.sort(key=lambda task: task.fingerprint)
        made = [prompter.prompt(task, batch="all") for task in tasks]
    prompts = [prompt for prompt in made if isinstance(prompt, Prompt)][:num_prompts]
    return tuple(replace(p, sampling=_sampling(48)) for p in prompts)


def _make_random_gpt2() -> None:
    """Write the folder that transformers, CTranslate2 and the engine load alike."""
    if (RANDOM_GPT2 / "model.safetensors").exists():
        return
    import torch  # noqa: PLC0415 - seconds
    from tokenizers import Tokenizer  # noqa: PLC0415 - the same
    from tokenizers.decoders import ByteLevel as ByteLevelDecoder  # noqa: PLC0415 - the same
    from tokenizers.models import BPE  # noqa: PLC0415 - the same
    from tokenizers.pre_tokenizers import ByteLevel  # noqa: PLC0415 - the same
    from transformers import (  # noqa: PLC0415 - the same
        GPT2Config,
        GPT2LMHeadModel,
        PreTrainedTokenizerFast,
    )

    letters = sorted(ByteLevel.alphabet())
    names = [*letters, *(f"Ġw{n}" for n in range(_VOCABULARY - len(letters) - 1))]
    vocabulary = {name: number for number, name in enumerate([*names, "<|endoftext|>"])}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # it has none
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end
    ).save_pretrained(RANDOM_GPT2)
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(RANDOM_GPT2)
