"""Settings of training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from personalm.settings.section import Section, Strings


class Training(Section):
    """How a model learns from the users' texts; device, threads and dtype are generation's."""

    method: Literal["lora", "full", "scratch"] = "lora"
    """`lora`: a small adapter beside the base model; `full`: all of its weights; `scratch`: a new
    GPT-2, with a tokenizer of the texts' own."""
    kinds: Strings | None = None
    """Kinds whose templates make the examples; None: those of `kinds`."""
    max_users: int | None = Field(default=None, ge=1)
    """Learn from so many users at most, drawn by the hash of their ids."""
    max_user_texts: int = Field(default=64, ge=1)
    """Of each user, so many of the newest texts are learned."""
    spares_held_out: bool = False
    """Leave out what `personalm evaluate` holds out of a user's texts, so that it can judge the
    model by texts it has not seen."""
    min_words: int = Field(default=4, ge=1)
    """Shorter texts are no targets; they are shown as history all the same."""
    max_similarity: float = Field(default=0.8, gt=0.0, le=1.0)
    """Of texts that share a larger part of their letter 5-grams, the oldest is kept."""
    validation_share: float = Field(default=0.1, gt=0.0, lt=0.5)
    test_share: float = Field(default=0.15, gt=0.0, lt=0.5)
    """The newest texts of a user are the test, those before it decide when training ends."""
    max_measured: int = Field(default=160, ge=2)
    """Test texts whose likelihood is measured, under four histories, before and after."""
    max_validated: int = Field(default=160, ge=1)
    max_tokens: int = Field(default=512, ge=16)
    """Tokens of an example, prompt and text together."""
    epochs: int = Field(default=2, ge=1)
    learning_rate: float | None = Field(default=None, gt=0.0)
    """None: 3e-4 for an adapter, 5e-5 for all weights, 1e-3 for a new model."""
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    dropout: float = Field(default=0.05, ge=0.0, lt=1.0)
    batch_tokens: int = Field(default=2_048, ge=16)
    """Tokens that are read at a time, pads counted."""
    accumulation: int = Field(default=4, ge=1)
    """Batches that make one step of the optimizer."""
    lora_rank: int = Field(default=8, ge=1, le=256)
    lora_alpha: int = Field(default=16, ge=1)
    check_steps: int = Field(default=20, ge=1)
    """Steps between two looks at the validation texts; each leaves a checkpoint."""
    patience: int = Field(default=3, ge=1)
    """Looks without a lower loss before training ends; the best checkpoint is published."""
    max_hours: float | None = Field(default=None, gt=0.0)
    """Time for the steps of training; measuring before and after comes on top."""
    canaries: int = Field(default=2, ge=0, le=8)
    """Made-up secrets planted at each of 1, 2, 4, 8 and 16 repeats; 0: leaks are not measured."""
    num_references: int = Field(default=512, ge=16)
    """Other secrets of the same form that a canary is ranked among."""
    max_exposure: float = Field(default=5.0, gt=0.0)
    """Bits; nothing is published where canaries planted once have a higher mean exposure."""
    retrain_days: int = Field(default=30, ge=0)
    """Days that a model may be used on after somebody it has learned from was forgotten."""
    max_extracted: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the canaries planted once that the model may complete from their beginning."""


class Scratch(Section):
    """The size of a new GPT-2."""

    num_layers: int = Field(default=4, ge=1)
    num_heads: int = Field(default=4, ge=1)
    width: int = Field(default=256, ge=8)
    num_positions: int = Field(default=512, ge=64)
    vocabulary: int = Field(default=8_000, ge=300)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError("width must be a multiple of num_heads")
        return self
