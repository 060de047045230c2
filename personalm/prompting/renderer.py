"""Rendering of prompts: Jinja in a sandbox, with user text only ever a value.

Templates come from operator files alone (`Kind.source`). Values are text, numbers, lists and
plain mappings, so a template can reach no object of the program. A template that is broken is
found when it is loaded; every error of Jinja becomes a `TemplateError` here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, meta
from jinja2.exceptions import SecurityError

from personalm.errors import TemplateError, is_of_a_row
from personalm.prompting.context import BARE_CONTEXT, FULL_CONTEXT
from personalm.prompting.effort import TooMuchEffortError
from personalm.prompting.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

    from personalm.kinds import Kind
    from personalm.prompting.context import Context

_MAX_CHARS = 200_000


class Renderer:
    """The compiled templates of all kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        """Compile and try every template. Raises TemplateError naming the file."""
        self._environment = Sandbox()
        self._templates: dict[str, Template] = {}
        self._variables: dict[str, frozenset[str]] = {}
        self._heads = {name: _head_of(kind.source) for name, kind in kinds.items()}
        for name, kind in kinds.items():
            self._templates[name] = self._compile(kind)
            self._variables[name] = self._find_variables(kind)
            for context in (FULL_CONTEXT, BARE_CONTEXT):
                self._try(kind, context)

    def variables_of(self, kind: str) -> frozenset[str]:
        """Return the names that a template asks for: what it does not show need not be found."""
        return self._variables[kind]

    def head_of(self, kind: str) -> str:
        """Return the text that every prompt of a kind starts with: what stands before a tag."""
        return self._heads[kind]

    def render(self, kind: str, context: Context) -> str:
        """Return the prompt, without space at its end: the model would have to continue it.

        Raises TemplateError, which names the class of the error only: its own message may quote
        what a user wrote.
        """
        try:
            return self._render(kind, context)
        except TemplateError:
            raise
        except TooMuchEffortError as error:
            raise TemplateError(f"the template {kind}: {error}") from None
        except Exception as error:
            if not is_of_a_row(error):
                raise
            raise TemplateError(f"the template {kind} failed: {type(error).__name__}") from None

    def _render(self, kind: str, context: Context) -> str:
        pieces: list[str] = []
        num_chars = 0
        for piece in self._templates[kind].generate(context):
            num_chars += len(piece)
            if num_chars > _MAX_CHARS:
                raise TemplateError(f"the template {kind} renders more than {_MAX_CHARS} letters")
            pieces.append(piece)
        return "".join(pieces).rstrip(" \t")

    def _compile(self, kind: Kind) -> Template:
        try:
            return self._environment.load(kind.source)
        except TemplateSyntaxError as error:
            raise TemplateError(
                f"{kind.path}: line {error.lineno} after the front matter: {error.message}"
            ) from None
        except SecurityError as error:
            raise TemplateError(f"{kind.path}: {type(error).__name__}: {error}") from None
        except (RecursionError, SyntaxError):  # Python has limits for nesting
            raise TemplateError(f"{kind.path}: expressions are nested too deep") from None

    def _find_variables(self, kind: Kind) -> frozenset[str]:
        names = frozenset(meta.find_undeclared_variables(self._environment.parse(kind.source)))
        unknown = names - FULL_CONTEXT.keys() - self._environment.globals.keys()
        if unknown:
            raise TemplateError(
                f"{kind.path}: unknown name {min(unknown)!r}",
                remedy=f"Known names are {', '.join(sorted(FULL_CONTEXT))}.",
            )
        return names

    def _try(self, kind: Kind, context: Context) -> None:
        """Render with made-up values, so that a broken template ends no run half-way."""
        try:
            self._render(kind.name, context)
        except TemplateError as error:
            raise TemplateError(f"{kind.path}: {error.message}") from None
        except Exception as error:  # noqa: BLE001 - the message is about made-up values
            raise TemplateError(f"{kind.path}: {type(error).__name__}: {error}") from None


def _head_of(source: str) -> str:
    # Space before a tag may be taken away by it.
    return re.split(r"\{[{%#]", source, maxsplit=1)[0].rstrip()
