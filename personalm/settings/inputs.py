"""Settings of the inputs: where the tables lie, and how their columns are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from personalm.configuration import TABLES
from personalm.settings.section import Section, Strings

TimeUnit = Literal["s", "ms", "us", "ns"]
Markup = Literal["markdown", "html", "entities"]


class ColumnSource(Section):
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


class Replies(Section):
    """Requests to derive from conversations: one for the last message of each that wants a reply.

    Messages of `voice_kinds`, and those that `voice_id` wrote, are the answers; the last other
    message of a thread is the one to reply to. The voice is `voice_id`, else the author of the
    thread's last answer. The `thread_id` is the subject id: a new message takes the place of
    the one before it.
    """

    kind: str = "reply"
    voice_kinds: Strings = ()
    voice_id: str | None = None
    instructions: str | None = None
    answered: bool = False
    """Whether messages are replied to that have an answer already."""

    @model_validator(mode="after")
    def _tell_sides(self) -> Self:
        if not self.voice_kinds and self.voice_id is None:
            raise ValueError("voice_kinds or voice_id must say whose messages are the answers")
        return self


class Inputs(Section):
    """Parquet files, folders or globs of each table, and how their columns are named."""

    profiles: Strings = ()
    interactions: Strings = ()
    items: Strings = ()
    requests: Strings = ()
    columns: dict[str, dict[str, ColumnSource]] = Field(default_factory=dict)
    replies: Replies | None = None
    """Replies to derive from the threads of interactions, where there is no requests table."""
    zone: str = "UTC"
    """Time zone of times that carry none."""
    language: str = "en"
    """Language of users whose profile names none and whose texts are too few to tell."""
    max_text_chars: int = Field(default=20_000, ge=100, lt=1 << 31)
    """Longer texts are cut here, before anything else looks at them."""
    max_user_interactions: int = Field(default=10_000, ge=1, lt=1 << 31)
    """Of a user with more interactions, the newest are used."""
    max_row_group_bytes: int = Field(default=4 << 30, ge=1)
    """A file is refused if one of its row groups is larger than this once it is decoded."""
    damaged: Literal["stop", "skip"] = "stop"
    """What to do about a damaged file: stop before any work, or leave it out and say so.

    A damaged file of profiles always stops: it may hold who has opted out.
    """

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
        plain = next((t for t, columns in value.items() if not isinstance(columns, Mapping)), None)
        if plain is not None:
            raise ValueError(
                f"{plain} must say which column of the contract each of yours is, "
                f'as [inputs.columns.{plain}] with lines such as text = "body"'
            )
        return {
            table: {
                name: {"column": source} if isinstance(source, str) else source
                for name, source in columns.items()
            }
            for table, columns in value.items()
        }
