"""Settings of prompts, generation, selection and the store."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from personalm.settings.section import Section, Strings

ScorerName = Literal["embedding", "shape", "mix"]


class Prompting(Section):
    """What of a user's history a prompt shows."""

    num_topic_texts: int = Field(default=2, ge=0)
    num_style_texts: int = Field(default=4, ge=0)
    style_texts: Literal["diverse", "recent"] = "diverse"
    """Which texts show the style: typical ones that differ from each other, or the newest."""
    max_shown_chars: int = Field(default=400, ge=40)
    """History texts longer than this are not shown whole: they are cut at a sentence."""
    max_subject_chars: int | None = Field(default=None, ge=40)
    """Subjects longer than this are cut at a sentence; `None`: where the model's room ends."""


class Generation(Section):
    """How candidates are drawn. `None` leaves the choice to the template of the kind."""

    candidates: int | None = Field(default=None, ge=1, le=64)
    temperature: float | None = Field(default=None, ge=0.0, le=5.0)
    top_k: int | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    repetition_penalty: float | None = Field(default=None, gt=0.0, le=5.0)
    no_repeat_ngram: int | None = Field(default=None, ge=0)
    max_new_tokens: int | None = Field(default=None, ge=1)
    max_draws: int = Field(default=3, ge=1, le=10)
    """Draws of a request in all, the first one counted, before it is rejected."""
    languages: Strings | None = None
    """Languages the model writes, where the model does not say so itself."""
    adapter_kinds: Strings | None = None
    """Kinds that an adapter writes, its base writes the others; `None`: those it has learned."""
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """`int8`: on a processor, where it costs less than a hundredth of perplexity; else bfloat16."""
    device: str = "auto"
    threads: int = Field(default=0, ge=0)
    """Threads of torch; 0 is one a core."""
    max_batch_tokens: int | None = Field(default=None, ge=256)
    """Positions whose keys and values one batch may keep; more is run in several batches. None:
    16,384 on a processor, on a GPU what a part of its memory holds."""
    unit_tokens: int = Field(default=4_800, ge=1)
    """New tokens a unit may ask for: some ten seconds of work on two cores. A GPU wants 50,000, a
    second of its work."""

    @property
    def machine(self) -> Generation:
        """What of it says how a model is loaded and run; how it draws is as by default."""
        return Generation(
            dtype=self.dtype,
            device=self.device,
            threads=self.threads,
            max_batch_tokens=self.max_batch_tokens,
        )

    @property
    def network_dtype(self) -> Literal["auto", "float32", "bfloat16"]:
        """Number format in which a model is loaded; integers are packed from bfloat16."""
        return "bfloat16" if self.dtype == "int8" else self.dtype


class Selection(Section):
    """How candidates are judged; the gates a kind uses are named in its template."""

    embedder: str = "bundled:minilm-l6"
    max_copied_words: int = Field(default=10, ge=2)
    """A candidate that shares a longer run of words with the history is a copy."""
    max_repeated_sentence: int = Field(default=4, ge=1)
    """A candidate that says a longer sentence of the history again, in words, is a copy, unless it
    stands in several texts."""
    max_quoted_words: int = Field(default=8, ge=2)
    """A candidate that shares a longer run of words with its own source is a copy."""
    max_echoed_words: int = Field(default=8, ge=2)
    """A candidate that shares a longer run of words with the prompt's own wording is an echo."""
    min_grounded_share: float = Field(default=0.85, ge=0.0, le=1.0)
    """A candidate of which a smaller share of the words with meaning stands in what the request
    gave, or is common, is made up."""
    max_leaked_words: int = Field(default=7, ge=3, le=63)
    """A candidate that shares a longer run of words with another user's texts is a leak, unless
    three users wrote that run."""
    banned_words: Strings | None = None
    """Words and phrases that no text may hold; `None`: the shipped list, about suicide and
    self-harm. A `*` at the end stands for any end of the word."""
    required_words: Strings = ()
    """Words and phrases that every text must hold, where its kind has the gate `required`."""
    min_style_texts: int = Field(default=2, ge=1)
    """With fewer own texts there is no style to compare with: the cosine abstains."""
    scorer: ScorerName = "mix"
    """What tells a voice from strangers: sentence embeddings, the shape of the texts, or both.
    `shape` needs no embedder."""
    min_scored_texts: int = Field(default=5, ge=2)
    """With fewer own texts the style score abstains."""
    min_scored_words: int = Field(default=5, ge=1)
    """Shorter texts have no style score; two characters of Chinese or Japanese are a word."""
    min_own_mark: float = Field(default=0.3, ge=0.0)
    """Where a user's own texts reach less against each other, the style score abstains."""
    min_impostors: int = Field(default=20, ge=3)
    """With fewer strangers' texts of its length and language a text has no style score."""


class Store(Section):
    """How the output folder is kept."""

    buckets: int | None = Field(default=None, ge=1, le=4096)
    """One is read and written at a time; None: as many as the inputs ask for, 4 at the least."""
    keep: int = Field(default=10, ge=1)
    """Snapshots that stay readable, the newest included; older ones go at the next commit."""
    notes_mb: int = Field(default=1024, ge=0)
    """MB of embedded history texts that are kept for later runs; 0: none are."""
