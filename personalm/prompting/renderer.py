"""Rendering of prompts: Jinja in a sandbox, with user text only ever a value.

Templates come from operator files alone (`Kind.source`). Values are text, numbers, lists and
plain mappings, so a template can reach no object of the program. A template that is broken is
found when it is loaded; every error of Jinja becomes a `TemplateError` here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from personalm.errors import TemplateError, is_of_a_row
from personalm.prompting.context import BARE_CONTEXT, FULL_CONTEXT, MAPPING_METHODS
from personalm.prompting.cutting import cut_text, fold_spaces
from personalm.prompting.headline import headline_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

    from personalm.kinds import Kind
    from personalm.prompting.context import Context

_MAX_CHARS = 200_000

_Operand: TypeAlias = object


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox without its global functions, with columns before methods."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            # A prompt is plain text: an escaped apostrophe would reach the model as it stands.
            autoescape=False,
        )
        self.globals = {"range": self.globals["range"], "namespace": self.globals["namespace"]}
        # A column can hold a number where the template thinks of a text.
        self.filters["one_line"] = lambda value: fold_spaces(str(value))
        self.filters["clip"] = lambda value, max_chars: cut_text(str(value), int(max_chars))
        self.filters["headline"] = lambda value: headline_of(str(value))

    def getattr(self, obj: object, attribute: str) -> object:
        """Take a column for a column, even where it is named like a method of mappings."""
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            if attribute not in MAPPING_METHODS:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: object, operator: str, left: _Operand, right: _Operand) -> object:
        """Multiply numbers only: a text times a number can fill the memory."""
        del context
        if operator == "**" or not all(isinstance(x, int | float) for x in (left, right)):
            raise SecurityError(f"templates may use {operator} for no such values")
        return left * right  # type: ignore[operator]  # both are numbers


class Renderer:
    """The compiled templates of all kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        """Compile and try every template. Raises TemplateError naming the file."""
        self._environment = _Environment()
        self._templates: dict[str, Template] = {}
        self._variables: dict[str, frozenset[str]] = {}
        self._heads = {name: _head_of(kind.source) for name, kind in kinds.items()}
        for name, kind in kinds.items():
            self._variables[name] = self._find_variables(kind)
            self._templates[name] = self._environment.from_string(kind.source)
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

    def _find_variables(self, kind: Kind) -> frozenset[str]:
        try:
            parsed = self._environment.parse(kind.source)
            self._environment.compile(parsed)
        except TemplateSyntaxError as error:
            raise TemplateError(
                f"{kind.path}: line {error.lineno} after the front matter: {error.message}"
            ) from None
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
