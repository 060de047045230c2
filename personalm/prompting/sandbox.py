"""The sandbox of templates: Jinja's own, narrowed to what a prompt needs, with bounded effort.

Jinja's sandbox was escaped again and again through formatting methods and filters that look up
attributes, and it lets a template fill the memory. Here a template has listed filters and methods
only, handles plain values only, and whatever it loops over, calls, compares or writes is paid for
from the effort of its rendering. It knows no kinds and no users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from jinja2 import StrictUndefined
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

from personalm.prompting.context import MAPPING_METHODS
from personalm.prompting.cutting import cut_text, fold_spaces
from personalm.prompting.headline import headline_of
from personalm.prompting.hooks import (
    HOOKS,
    EffortContext,
    effort_of,
    finish,
    is_plain,
    pay_for_filter,
    pay_for_search,
)
from personalm.prompting.metering import meter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jinja2 import Template
    from jinja2.nodes import EvalContext
    from jinja2.nodes import Template as Tree
    from jinja2.runtime import Context

    from personalm.prompting.effort import Effort

_Value: TypeAlias = object

FILTER_NAMES = frozenset(
    """abs capitalize count d default dictsort first float int items join last length list lower
    map max min reject rejectattr replace reverse round select selectattr sort string sum title
    trim truncate unique upper wordcount""".split()  # noqa: SIM905 - reads better
)
"""Filters of Jinja that a template may use; `clip`, `headline` and `one_line` are ours."""

TEXT_METHODS = frozenset(
    """capitalize count endswith find isalpha isdigit islower isspace isupper lower lstrip rfind
    rstrip split splitlines startswith strip title upper""".split()  # noqa: SIM905 - reads better
)
"""Methods of texts that a template may call."""

# A column can hold a number where the template thinks of a text.
_OWN_FILTERS: dict[str, Callable[..., str]] = {
    "one_line": lambda value: fold_spaces(str(value)),
    "clip": lambda value, max_chars: cut_text(str(value), int(max_chars)),
    "headline": lambda value: headline_of(str(value)),
}
_GLOBALS = ("range", "namespace")
_MAX_NUMBER = 2**63
_CALL = 10


class _Method(StrictUndefined):
    """A method of a mapping: it can be called, and counts as missing where a value is wanted."""

    def __init__(self, mapping: dict[str, object], name: str) -> None:
        super().__init__(obj=mapping, name=name)
        self._mapping = mapping
        self._method = name

    def run(self, effort: Effort, args: tuple[_Value, ...]) -> _Value:
        """Call it; a view of a mapping is a list here."""
        effort.spend(len(self._mapping))
        result = getattr(self._mapping, self._method)(*args)
        return result if self._method == "get" else list(result)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates of prompts."""

    context_class = EffortContext
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            # A prompt is plain text: an escaped apostrophe would reach the model as it stands.
            autoescape=False,
            finalize=finish,
        )
        self.globals = {name: self.globals[name] for name in _GLOBALS}
        self.filters = {name: FILTERS[name] for name in FILTER_NAMES} | _OWN_FILTERS | HOOKS
        self.known_filters = frozenset(FILTER_NAMES | _OWN_FILTERS.keys())

    def load(self, source: str) -> Template:
        """Compile the source of a loaded file.

        Raises SecurityError for what no template may do, TemplateSyntaxError for other mistakes.
        """
        tree = self.metered(source)
        return self.template_class.from_code(self, self.compile(tree), self.make_globals(None))

    def metered(self, source: str) -> Tree:
        """Return the syntax tree of a source, with every costly place of it paid for."""
        return meter(self.parse(source), self)

    def getattr(self, obj: _Value, attribute: str) -> _Value:
        """Take a column for a column, even where it is named like a method of mappings."""
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            if attribute in MAPPING_METHODS:
                return _Method(obj, attribute)
            if not hasattr(obj, attribute):
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: _Value, attr: str, value: _Value) -> bool:
        """Allow the listed methods of plain values, and none of numbers and lists."""
        if isinstance(obj, str):
            return attr in TEXT_METHODS
        if isinstance(obj, dict | int | float | list | tuple | range):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: _Value) -> None:
        """Offer no method that formats: `is_safe_attribute` refuses it like any other."""
        del value

    def call(  # the names keep those of a macro's arguments free
        __self,  # noqa: N805 - the signature is Jinja's
        __context: Context,  # noqa: PYI063 - the same
        __obj: _Value,
        *args: _Value,
        **kwargs: _Value,
    ) -> _Value:
        """Call a method or a macro; the text or mapping that it works on is paid for."""
        effort = effort_of(__context)
        effort.spend(_CALL)
        if isinstance(__obj, _Method):
            return __obj.run(effort, args)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            pay_for_search(effort, owner, args)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: _Value, right: _Value) -> _Value:
        """Compute with numbers of a bounded size; join texts and lists by `+` only."""
        effort = effort_of(context)
        effort.spend(1)
        if all(isinstance(x, int | float) for x in (left, right)) and operator != "**":
            result = super().call_binop(context, operator, left, right)
            if isinstance(result, int) and abs(result) >= _MAX_NUMBER:
                raise SecurityError("a template may not compute with numbers as large as this")
            return result
        if operator != "+":
            raise SecurityError(f"templates may use {operator} for no such values")
        effort.copy(left)
        effort.copy(right)
        return super().call_binop(context, operator, left, right)

    def call_filter(  # noqa: PLR0917 - the signature is Jinja's
        self,
        name: str,
        value: _Value,
        args: Sequence[_Value] | None = None,
        kwargs: Mapping[str, _Value] | None = None,
        context: Context | None = None,
        eval_ctx: EvalContext | None = None,
    ) -> _Value:
        """Apply a listed filter to a plain value that was paid for; what comes out is plain."""
        if name not in self.known_filters or context is None:
            raise SecurityError(f"templates may not use the filter {name}")
        effort = effort_of(context)
        if name not in {"default", "d"}:  # it only chooses
            pay_for_filter(effort, name, value, [*(args or ()), *(kwargs or {}).values()])
        result = super().call_filter(name, value, args, kwargs, context, eval_ctx)
        return result if is_plain(result) else list(effort.take(result))

    def call_test(  # noqa: PLR0917 - the same
        self,
        name: str,
        value: _Value,
        args: Sequence[_Value] | None = None,
        kwargs: Mapping[str, _Value] | None = None,
        context: Context | None = None,
        eval_ctx: EvalContext | None = None,
    ) -> bool:
        """Ask a question about a plain value that was paid for."""
        if context is None:
            raise SecurityError(f"templates may not use the test {name}")
        for each in (value, *(args or ())):
            effort_of(context).look_at(each)
        return bool(super().call_test(name, value, args, kwargs, context, eval_ctx))
