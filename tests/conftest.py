"""Tiny language models, made anew in each session: no test needs a network or a large file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"

_SPARE_TEXTS = (
    "The kettle clicks off and the kitchen window is grey again.",
    "Went down to the harbour before work. Cold, but the light was good.",
    "Nobody told me the library closes at five on Fridays, so here I am on the steps.",
    "Day 3 of fixing the bike: the chain is on, the brakes are not.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A trained model's folder, and its loss before and after."""

    folder: Path
    first_loss: float
    last_loss: float


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end one process would wait for another's."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _shipped_adapter_stays_as_it_is() -> Iterator[None]:
    """Fail where a test has changed the adapter that everybody gets."""
    before = _read_files(SAMPLE_DATA / "adapter")
    yield
    assert _read_files(SAMPLE_DATA / "adapter") == before


def _read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """Return a folder in memory where there is such a place: a thousand fsyncs take no time."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it gets a name of its own
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def sample_texts() -> tuple[str, ...]:
    """Return the texts of the sample data, or a few sentences where it has not been made."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only tests that ask for the texts pay for it

    path = SAMPLE_DATA / "interactions.parquet"
    if not path.exists():
        return _SPARE_TEXTS * 16
    column = pq.read_table(path, columns=["text"])["text"]
    return tuple(text for text in column.to_pylist() if text)


@pytest.fixture(scope="session")
def tiny_gpt2_training(
    sample_texts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Training:
    """Make a GPT-2 of two layers, really trained on the sample texts, as a Hugging Face folder."""
    return make_tiny_gpt2(tmp_path_factory.mktemp("tiny-gpt2"), sample_texts)


def make_tiny_gpt2(folder: Path, sample_texts: Sequence[str]) -> Training:
    """Train a GPT-2 of two layers into a folder."""
    from transformers import GPT2Config, GPT2LMHeadModel, set_seed  # noqa: PLC0415 - heavy

    tokenizer = _train_tokenizer(sample_texts)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    set_seed(7)
    network = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=256,
            n_embd=64,
            n_layer=2,
            n_head=4,
            bos_token_id=end,
            eos_token_id=end,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            initializer_range=0.08,  # narrow layers learn slowly from the usual small weights
        )
    )
    stream = [id_ for text in sample_texts for id_ in (*tokenizer(text)["input_ids"], end)]
    losses = _train(network, stream)
    # Stale settings, as a fine-tuned model's folder may carry them; nobody may heed them.
    network.generation_config.max_length = 12
    network.generation_config.repetition_penalty = 3.0
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Training(folder=folder, first_loss=losses[0], last_loss=sum(losses[-5:]) / 5)


@pytest.fixture(scope="session")
def tiny_gpt2(tiny_gpt2_training: Training) -> Path:
    """Return the folder of the tiny GPT-2: 256 positions, byte-level tokenizer, `<|endoftext|>`."""
    return tiny_gpt2_training.folder


@pytest.fixture(scope="session")
def tiny_llama(sample_texts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a Llama folder of two layers with grouped queries and random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed  # noqa: PLC0415 - heavy

    folder = tmp_path_factory.mktemp("tiny-llama")
    tokenizer = _train_tokenizer(sample_texts)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    set_seed(11)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            bos_token_id=end,
            eos_token_id=end,
            initializer_range=0.3,
        )
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _train_tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415 - heavy
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - the same

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # it has no annotations
        tokenizer_object=tokenizer,
        **dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
    )


def _train(network: Any, stream: Sequence[int], *, num_steps: int = 400) -> list[float]:
    """Train on random pieces of the stream and return the loss of each step."""
    import torch  # noqa: PLC0415 - heavy

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same weights on every machine, and no spinning beside others
    tokens = torch.tensor(stream)
    generator = torch.Generator().manual_seed(7)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    network.train()
    for step in range(num_steps):
        starts = torch.randint(len(tokens) - 32, (8,), generator=generator)
        batch = torch.stack([tokens[start : start + 32] for start in starts])
        for group in optimizer.param_groups:
            group["lr"] = (
                5e-3 * min(1.0, (step + 1) / 10) * 0.5 * (1 + math.cos(math.pi * step / num_steps))
            )
        loss = network(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    torch.set_num_threads(num_threads)
    return losses
