"""Kinds of text, as data: a kind is one template file with a front matter.

A template file `<kind>.j2` starts with TOML between two lines of `+++`; what follows is the Jinja
source. This module reads files and checks the front matter; it does not know Jinja.
Templates of the operator's own folder win over the shipped ones.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personalm.errors import TemplateError
from personalm.hashing import digest

SUFFIX = ".j2"
_FRONT_MATTER = re.compile(r"\A\+\+\+\r?\n(.*?)^\+\+\+\r?\n(.*)\Z", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_BYTES = 256 << 10


class FrontMatter(BaseModel):
    """What a kind needs and how its texts are drawn and judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Literal["item", "topic", "given"]
    """`item`: an item of the catalogue; `topic`: an item or a topic of the user's own, derived
    where the request names none; `given`: a text that the request must bring."""
    needs: tuple[Literal["instructions", "thread", "voice"], ...] = ()
    max_new_tokens: int = Field(ge=1, le=1024)
    candidates: int = Field(default=4, ge=1, le=64)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    gates: tuple[str, ...]
    languages: tuple[str, ...] | None = None
    temperature: float = Field(default=0.8, ge=0.0, le=5.0)
    top_k: int = Field(default=50, ge=0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    min_p: float = Field(default=0.0, ge=0.0, le=1.0)
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=5.0)
    no_repeat_ngram: int = Field(default=0, ge=0)
    min_words: int = Field(default=3, ge=1)
    max_words: int | None = Field(default=None, ge=1)
    """Longer texts are refused by the gate `length`; `None`: none is too long."""
    required_words: tuple[str, ...] = ()
    """Words or phrases that a text must hold, beside those of the settings."""
    banned_words: tuple[str, ...] = ()
    """Words or phrases that a text must not hold, beside those of the settings."""
    quotes_source: bool = False
    """Whether a text may say words of the shipped list of banned ones that stand in its source: a
    note on a passage about them."""
    required_facts: tuple[str, ...] = ()
    """Facts of the item, or `title`, that a text must state where the item has them."""
    min_shared_words: int = Field(default=1, ge=0)
    """Words of meaning that a text must share with its instructions, or with its subject where
    it has none; fewer where they hold fewer."""
    likeliest_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """Of the candidates that pass the gates, the share that the model finds likeliest competes."""
    voice_kinds: tuple[str, ...] = ()
    """Kinds of interactions that show the style; all where it is empty or none of them occur."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of text: its name, its front matter and the Jinja source of its prompt."""

    name: str
    front: FrontMatter
    source: str
    digest: str
    path: Path


def find_templates(folder: Path | None = None) -> tuple[Path, ...]:
    """Return the folders that hold templates, the operator's own first.

    The shipped ones lie in the wheel as `personalm/_templates`, in a clone as `templates/`.
    Raises TemplateError where a folder is named and does not exist, or none is found.
    """
    package = Path(__file__).parent
    shipped = [p for p in (package / "_templates", package.parent / "templates") if p.is_dir()]
    if folder is not None and not folder.is_dir():
        raise TemplateError(f"template folder {folder} does not exist")
    folders = ([folder] if folder else []) + shipped[:1]
    if not folders:
        raise TemplateError(
            "no templates found", remedy="Name a folder: templates_dir = FOLDER in the settings."
        )
    return tuple(folders)


def load_kinds(folder: Path | None = None) -> dict[str, Kind]:
    """Return every kind by name, those of the operator's folder in place of shipped ones."""
    kinds: dict[str, Kind] = {}
    for place in find_templates(folder):
        for path in sorted(place.glob(f"*{SUFFIX}")):
            kind = load_kind(path)
            kinds.setdefault(kind.name, kind)
    return kinds


def load_kind(path: Path) -> Kind:
    """Read one template file. Raises TemplateError naming the file and the key."""
    name = path.name.removesuffix(SUFFIX)
    if not _NAME.fullmatch(name):
        raise TemplateError(
            f"{path}: {name!r} is no name of a kind",
            remedy="Use up to 40 lower-case letters, digits and underscores, a letter first.",
        )
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise TemplateError(
            f"{path} is no regular file of at most {_MAX_BYTES // 1024} KB",
            remedy="A template is a short text: move what is long into the tables.",
        )
    try:
        # Some editors put a mark before the first letter.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path} cannot be read: {error}") from None
    match = _FRONT_MATTER.match(text)
    if match is None:
        raise TemplateError(
            f"{path} has no front matter",
            remedy="Start the file with TOML between two lines of +++.",
        )
    try:
        front = FrontMatter.model_validate(tomllib.loads(match.group(1)))
    except RecursionError:
        raise TemplateError(f"{path}: the front matter is nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise TemplateError(f"{path}: the front matter is not valid TOML: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise TemplateError(f"{path}: front matter, {key}: {problem['msg']}") from None
    return Kind(
        name=name, front=front, source=match.group(2), digest=digest([name, text]), path=path
    )
