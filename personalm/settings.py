"""Settings: one TOML file, overridden by PERSONALM_ environment variables, then by arguments.

Relative paths in a file start at the file's folder; those in the environment and in arguments at
the current folder. `${NAME}` in a path is an environment variable. An unknown key is an error
wherever it stands: pydantic-settings would ignore an unknown environment variable in silence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from personalm.configuration import CONFIG_VARIABLE, TABLES, find_config, read_config
from personalm.errors import SettingsError
from personalm.remote import place_of

PREFIX = "PERSONALM_"
DATA_VARIABLE = "PERSONALM_DATA"
CACHE_VARIABLE = "PERSONALM_CACHE"

_FILE = "file"

TimeUnit = Literal["s", "ms", "us", "ns"]
Markup = Literal["markdown", "html", "entities"]
ScorerName = Literal["embedding", "shape", "mix"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSource(_Section):
    """Where a column of the contract comes from: a column of the file, or one value for all rows.

    `unit` is that of times given as numbers, `markup` what texts are written in and freed of:
    `entities` are those of HTML alone (`&amp;`), in texts where `<` is no tag.
    """

    column: str | None = None
    value: str | None = None
    unit: TimeUnit | None = None
    markup: Markup | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("name a column or a value, one of them")
        return self


class Replies(_Section):
    """Requests to derive from conversations: one for the last message of each that wants a reply.

    Messages of `voice_kinds`, and those that `voice_id` wrote, are the answers; the last other
    message of a thread is the one to reply to. The voice is `voice_id`, else the author of the
    thread's last answer. The `thread_id` is the subject id: a new message takes the place of
    the one before it.
    """

    kind: str = "reply"
    voice_kinds: tuple[str, ...] = ()
    voice_id: str | None = None
    instructions: str | None = None
    answered: bool = False
    """Whether messages are replied to that have an answer already."""

    @model_validator(mode="after")
    def _tell_sides(self) -> Self:
        if not self.voice_kinds and self.voice_id is None:
            raise ValueError("voice_kinds or voice_id must say whose messages are the answers")
        return self


class Inputs(_Section):
    """Parquet files, folders or globs of each table, and how their columns are named."""

    profiles: tuple[str, ...] = ()
    interactions: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    columns: dict[str, dict[str, ColumnSource]] = Field(default_factory=dict)
    replies: Replies | None = None
    """Replies to derive from the threads of interactions, where there is no requests table."""
    zone: str = "UTC"
    """Time zone of times that carry none."""
    language: str = "en"
    """Language of users whose profile names none and whose texts are too few to tell."""
    max_text_chars: int = Field(default=20_000, ge=100)
    """Longer texts are cut here, before anything else looks at them."""
    max_user_interactions: int = Field(default=10_000, ge=1)
    """Of a user with more interactions, the newest are used."""
    max_row_group_bytes: int = Field(default=4 << 30, ge=1)
    """A file is refused if one of its row groups is larger than this once it is decoded."""
    damaged: Literal["stop", "skip"] = "stop"
    """What to do about a damaged file: stop before any work, or leave it out and say so.

    A damaged file of profiles always stops: it may hold who has opted out.
    """

    @field_validator(*TABLES, mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _replies_of_interactions(self) -> Self:
        has_history = bool(self.interactions or self.profiles)
        if self.replies is not None and (self.requests or not has_history):
            raise ValueError("replies are derived from interactions, and without a requests table")
        return self

    @property
    def has_requests(self) -> bool:
        """Whether the tables say what is wanted, so that nothing is derived for each user."""
        return bool(self.requests) or self.replies is not None

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        unknown = set(value) - set(TABLES)
        if unknown:
            raise ValueError(f"unknown table {min(unknown)!r}; known are {TABLES}")
        return {
            table: {
                name: {"column": source} if isinstance(source, str) else source
                for name, source in columns.items()
            }
            for table, columns in value.items()
        }


class Prompting(_Section):
    """What of a user's history a prompt shows."""

    num_topic_texts: int = Field(default=2, ge=0)
    num_style_texts: int = Field(default=4, ge=0)
    style_texts: Literal["diverse", "recent"] = "diverse"
    """Which texts show the style: typical ones that differ from each other, or the newest."""
    max_shown_chars: int = Field(default=400, ge=40)
    """History texts longer than this are not shown whole: they are cut at a sentence."""
    max_subject_chars: int | None = Field(default=None, ge=40)
    """Subjects longer than this are cut at a sentence; `None`: where the model's room ends."""


class Generation(_Section):
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
    languages: tuple[str, ...] | None = None
    """Languages the model writes, where the model does not say so itself."""
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """`int8`: on a processor, where it costs less than a hundredth of perplexity; else bfloat16."""
    device: str = "auto"
    threads: int = Field(default=0, ge=0)
    """Threads of torch; 0 is one a core."""
    max_batch_tokens: int = Field(default=16_384, ge=256)
    """Positions whose keys and values one batch may keep; more is run in several batches."""
    unit_tokens: int = Field(default=2_400, ge=1)
    """New tokens a unit may ask for: about ten seconds of work on two cores."""

    @property
    def network_dtype(self) -> Literal["auto", "float32", "bfloat16"]:
        """Number format in which a model is loaded; integers are packed from bfloat16."""
        return "bfloat16" if self.dtype == "int8" else self.dtype


class Selection(_Section):
    """How candidates are judged; the gates a kind uses are named in its template."""

    embedder: str = "bundled:minilm-l6"
    max_copied_words: int = Field(default=10, ge=2)
    """A candidate that shares a longer run of words with the history is a copy."""
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
    banned_words: tuple[str, ...] | None = None
    """Words and phrases that no text may hold; `None`: the shipped list, about suicide and
    self-harm. A `*` at the end stands for any end of the word."""
    required_words: tuple[str, ...] = ()
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


class Store(_Section):
    """How the output folder is kept."""

    buckets: int | None = Field(default=None, ge=1, le=4096)
    """One is read and written at a time; None: as many as the inputs ask for, 16 at the least."""
    keep: int = Field(default=10, ge=1)
    """Snapshots that stay readable, the newest included; older ones go at the next commit."""
    notes_mb: int = Field(default=1024, ge=0)
    """MB of embedded history texts that are kept for later runs; 0: none are."""


class Training(_Section):
    """How a model learns from the users' texts; device, threads and dtype are generation's."""

    method: Literal["lora", "full", "scratch"] = "lora"
    """`lora`: a small adapter beside the base model; `full`: all of its weights; `scratch`: a new
    GPT-2, with a tokenizer of the texts' own."""
    kinds: tuple[str, ...] | None = None
    """Kinds whose templates make the examples; None: those of `kinds`."""
    max_users: int | None = Field(default=None, ge=1)
    """Learn from so many users at most, drawn by the hash of their ids."""
    max_user_texts: int = Field(default=64, ge=1)
    """Of each user, so many of the newest texts are learned."""
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


class Scratch(_Section):
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


class Settings(BaseSettings):
    """All settings of a run."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
    )

    model: str = "bundled:smollm2-135m"
    """A folder, a hub id such as `gpt2`, or a `bundled:` name."""
    kinds: tuple[str, ...] = ("post",)
    """Kinds to derive requests for, where there is no requests table."""
    output: Path = Path("personalm-output")
    seed: int = Field(default=0, ge=0, lt=2**63)
    templates_dir: Path | None = None
    """Folder with templates of your own; they win over the shipped ones."""
    shards: int = Field(default=4, ge=1)
    """Tasks that a Prefect flow cuts a run into."""
    inputs: Inputs = Inputs()
    prompting: Prompting = Prompting()
    generation: Generation = Generation()
    selection: Selection = Selection()
    store: Store = Store()
    training: Training = Training()
    scratch: Scratch = Scratch()

    @field_validator("output")
    @classmethod
    def _known_place(cls, value: Path) -> Path:
        return place_of(value)

    @model_validator(mode="after")
    def _kinds_once(self) -> Self:
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds: a kind is named twice")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments over the environment over the file; `load_settings` hands in both."""
        del dotenv_settings, file_secret_settings
        arguments = dict(getattr(init_settings, "init_kwargs", {}))
        file = arguments.pop(_FILE, {})
        return (
            InitSettingsSource(settings_cls, arguments),
            env_settings,
            InitSettingsSource(settings_cls, file),
        )


def load_settings(config: str | Path | None = None, **overrides: object) -> Settings:
    """Read the settings; an override is an argument of the caller and wins, `None` is not given.

    A dotted name reaches into a section: `{"generation.candidates": 4}`.
    Raises SettingsError naming the file and key.
    """
    path = find_config(config)
    values = read_config(path) if path else {}
    arguments = _nest({name: value for name, value in overrides.items() if value is not None})
    try:
        _refuse_unknown_variables()
        arguments[_FILE] = values
        return Settings(**arguments)
    except ValidationError as error:
        raise SettingsError(_describe(error, path)) from None
    except SourceError as error:
        # It names the setting and the source; what stands there may be a secret.
        raise SettingsError(f"settings: {error}", remedy="Write it as JSON.") from None


def _nest(given: Mapping[str, object]) -> dict[str, Any]:
    """Turn dotted names into sections."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        *parents, leaf = name.split(".")
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return values


def _refuse_unknown_variables() -> None:
    known = {CONFIG_VARIABLE, DATA_VARIABLE, CACHE_VARIABLE}
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        known.add(variable)
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            known.update(f"{variable}__{key.upper()}" for key in section.model_fields)
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable.upper() not in known:
            raise SettingsError(
                f"environment variable {variable} is no setting of personalm",
                remedy="Unset it, or write it as PERSONALM_SECTION__KEY.",
            )


def _describe(error: ValidationError, path: Path | None) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        wrong = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"{key}: {wrong}")
    place = f"{path}: " if path else "settings: "
    return place + "; ".join(lines)
