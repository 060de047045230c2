"""The systems that are compared: each writes a workload and says how many tokens that was.

A system is opened with a setting, warmed up on a few prompts, and timed on all of them. Whatever
it has for this kind of work is switched on; a setting that a library refuses is left out of the
table with its reason.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from bench.workloads import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from bench.workloads import Workload
    from personalm.generation.loading import LoadedModel
    from personalm.records import Prompt

Setting = dict[str, Any]


class System(Protocol):
    """One way to write texts."""

    def __call__(self, prompts: Sequence[Prompt]) -> int:
        """Write the candidates of all prompts; return the number of tokens drawn."""
        ...


@contextmanager
def open_system(name: str, workload: Workload, setting: Setting) -> Iterator[System]:
    """Load the model as a system needs it."""
    yield _OPENERS[name](workload, setting)


def _load(workload: Workload, setting: Setting) -> LoadedModel:
    from personalm.generation.loading import load_model  # noqa: PLC0415 - loads torch

    model = load_model(
        workload.model,
        dtype="float32" if setting["dtype"] == "float32" else "bfloat16",
        device=setting.get("device", "cpu"),
        threads=setting["threads"],
    )
    return _without_end(model) if workload.is_fixed else model


def _without_end(model: LoadedModel) -> LoadedModel:
    from dataclasses import replace  # noqa: PLC0415 - small

    return replace(model, eos_ids=frozenset())


def _open_ours(workload: Workload, setting: Setting) -> System:
    from personalm.generation.packing import pack_model  # noqa: PLC0415 - loads torch
    from personalm.generation.torch_engine import TorchEngine  # noqa: PLC0415 - the same

    model = _load(workload, setting)
    pack_model(model, int8=setting["dtype"] == "int8")
    engine = TorchEngine(
        model, max_batch_tokens=setting["max_batch_tokens"], captures=setting.get("captures")
    )

    def write(prompts: Sequence[Prompt]) -> int:
        return sum(s.num_tokens for draw in engine.generate(iter(prompts)) for s in draw.samples)

    return write


def _open_generate(workload: Workload, setting: Setting) -> System:
    model = _load(workload, setting)
    network: Any = model.network
    network.set_attn_implementation(setting["attention"])
    ends = sorted(_end_ids(workload, model))

    def write(prompts: Sequence[Prompt]) -> int:
        ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids))
        size = setting["batch"]
        return sum(
            _generate(model, ordered[start : start + size], workload, ends)
            for start in range(0, len(ordered), size)
        )

    return write


def _generate(
    model: LoadedModel, batch: Sequence[Prompt], workload: Workload, ends: list[int]
) -> int:
    import torch  # noqa: PLC0415 - seconds

    from personalm.generation.prefill import fill_up  # noqa: PLC0415 - loads torch

    network: Any = model.network
    ids, mask = fill_up(model, [prompt.token_ids for prompt in batch])
    with torch.inference_mode():
        output = network.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            num_return_sequences=workload.num_candidates,
            **_sampling_of(workload),
            pad_token_id=model.pad_id,
            eos_token_id=ends or None,
        )
    return _count_new(output[:, ids.shape[1] :], ends)


def _open_continuous(workload: Workload, setting: Setting) -> System:
    from transformers import GenerationConfig  # noqa: PLC0415 - loads torch

    model = _load(workload, setting)
    network: Any = model.network
    network.set_attn_implementation("sdpa")
    ends = sorted(_end_ids(workload, model))
    config = GenerationConfig(  # type: ignore[no-untyped-call]  # it has none
        do_sample=True,
        num_return_sequences=workload.num_candidates,
        **_sampling_of(workload),
        pad_token_id=model.pad_id,
        eos_token_id=ends or -1,
    )

    def write(prompts: Sequence[Prompt]) -> int:
        outputs = network.generate_batch(
            inputs=[list(prompt.token_ids) for prompt in prompts],
            generation_config=config,
            progress_bar=False,
        )
        return sum(len(output.generated_tokens) for output in outputs.values())

    return write


def _open_ctranslate2(workload: Workload, setting: Setting) -> System:
    import ctranslate2  # noqa: PLC0415 - of an extra

    folder = _convert(workload)
    generator = ctranslate2.Generator(
        str(folder),
        device="cpu",
        compute_type=setting["dtype"],
        inter_threads=setting["workers"],
        intra_threads=setting["threads"],
    )
    tokens = _pieces(workload)
    least = workload.num_new_tokens if workload.is_fixed else 1

    def write(prompts: Sequence[Prompt]) -> int:
        results = generator.generate_batch(
            [[tokens[i] for i in prompt.token_ids] for prompt in prompts],
            max_batch_size=setting["batch"],
            num_hypotheses=workload.num_candidates,
            sampling_topk=50,
            sampling_topp=0.95,
            sampling_temperature=1.0,
            beam_size=1,
            min_length=least,
            max_length=workload.num_new_tokens,
            include_prompt_in_result=False,
        )
        return sum(len(ids) for result in results for ids in result.sequences_ids)

    return write


def _convert(workload: Workload) -> Any:  # noqa: ANN401 - a path
    """Convert a model for CTranslate2, once; it stores float32 and converts on loading."""
    import ctranslate2  # noqa: PLC0415 - of an extra

    from personalm.generation.models import find_folder  # noqa: PLC0415 - small

    folder = FOLDER / f"ctranslate2-{workload.name}"
    if not (folder / "model.bin").exists():
        converter = ctranslate2.converters.TransformersConverter(str(find_folder(workload.model)))
        converter.convert(str(folder), force=True)
    return folder


def _pieces(workload: Workload) -> list[str]:
    from transformers import AutoTokenizer  # noqa: PLC0415 - loads torch

    from personalm.generation.models import find_folder  # noqa: PLC0415 - small

    tokenizer: Any = AutoTokenizer.from_pretrained(find_folder(workload.model))
    return [str(piece) for piece in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]


def _sampling_of(workload: Workload) -> dict[str, Any]:
    return {
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 0.95,
        "max_new_tokens": workload.num_new_tokens,
    }


def _end_ids(workload: Workload, model: LoadedModel) -> frozenset[int]:
    return frozenset() if workload.is_fixed else model.eos_ids


def _count_new(new: torch.Tensor, ends: list[int]) -> int:
    """Count the tokens before the first one that ends a text."""
    import torch  # noqa: PLC0415 - seconds

    if not ends:
        return new.numel()
    ended = torch.isin(new, torch.tensor(ends)).cumsum(-1) > 0
    return int((~ended).sum())


_OPENERS: dict[str, Callable[[Workload, Setting], System]] = {
    "personalm": _open_ours,
    "generate": _open_generate,
    "generate_batch": _open_continuous,
    "ctranslate2": _open_ctranslate2,
}
