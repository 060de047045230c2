"""A GPT-2 from nothing: a tokenizer of the texts' own and random weights, as a model's folder.

It is trained and published like any base model from then on. The tokenizer is a byte-level BPE, as
GPT-2's is, so no character is unknown to it; its one special token stands between documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from personalm.training.quiet import quiet_libraries

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from personalm.settings import Scratch

END = "<|endoftext|>"


def make_gpt2(folder: Path, texts: Iterable[str], *, scratch: Scratch, seed: int) -> None:
    """Write a new GPT-2 into a folder; texts and seed decide every file."""
    tokenizer = _train_tokenizer(texts, scratch.vocabulary)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    end = tokenizer.get_vocab()[END]
    network = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=scratch.num_positions,
            n_embd=scratch.width,
            n_layer=scratch.num_layers,
            n_head=scratch.num_heads,
            bos_token_id=end,
            eos_token_id=end,
        )
    )
    with quiet_libraries():
        network.save_pretrained(folder)


def _train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # it has no annotations
        tokenizer_object=tokenizer, **dict.fromkeys(("bos_token", "eos_token", "unk_token"), END)
    )
