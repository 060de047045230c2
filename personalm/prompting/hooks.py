"""Hooks: what a compiled template calls at each place where it has to pay from its effort.

`metering` puts the calls there; the sandbox knows them as filters whose names nobody can write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from jinja2 import pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context

from personalm.prompting.effort import Effort
from personalm.prompting.metering import COMPARE, FILTER, JOIN, LOOP, PAY, TEST

if TYPE_CHECKING:
    from collections.abc import Sequence

_Value: TypeAlias = object

_LETTERS_SEARCHED_AT_ONCE = 64


class EffortContext(Context):
    """The names of one rendering, and its effort."""

    effort: Effort

    def derived(self, locals: dict[str, object] | None = None) -> EffortContext:  # noqa: A002 - Jinja's
        """Share the effort with a block."""
        context = super().derived(locals)
        assert isinstance(context, EffortContext)  # noqa: S101 - the environment makes no other
        context.effort = effort_of(self)
        return context


def effort_of(context: Context) -> Effort:
    """Return the effort of a rendering."""
    assert isinstance(context, EffortContext)  # noqa: S101 - the environment makes no other
    if not hasattr(context, "effort"):
        context.effort = Effort()
    return context.effort


def is_plain(value: _Value) -> bool:
    """Tell whether templates may handle a value as it is."""
    return value is None or isinstance(value, str | int | float | list | tuple | dict | range)


def pay_for_search(effort: Effort, value: _Value, args: Sequence[_Value]) -> None:
    """Pay for a walk through a value, in which each letter may be looked for among others."""
    length = len(value) if isinstance(value, str | list | tuple | dict | range) else 1
    effort.spend(length)
    for text in args:
        effort.look_at(text)
        if isinstance(text, str):
            effort.spend(length * (len(text) // _LETTERS_SEARCHED_AT_ONCE))


def pay_for_filter(effort: Effort, name: str, value: _Value, args: Sequence[_Value]) -> None:
    """Pay for what a filter reads and writes; raises SecurityError for a sum of other things."""
    is_copied = isinstance(value, str) or name in {"join", "string"}
    (effort.copy if is_copied else effort.look_at)(value)
    length = len(value) if isinstance(value, str | list | tuple | dict | range) else 1
    if name in {"join", "replace"}:
        # Each of the letters or values may bring in a whole text.
        effort.spend(length * sum(len(text) for text in args if isinstance(text, str)))
    elif name == "sum" and not all(isinstance(x, int | float) for x in args):
        raise SecurityError("templates may add up numbers only")
    elif name == "list":
        effort.spend(length)
    else:
        pay_for_search(effort, value, args)


@pass_context
def finish(context: Context, value: _Value) -> _Value:
    """Pay for what is written."""
    effort_of(context).copy(value)
    return value


@pass_context
def _pay(context: Context, value: _Value, units: int) -> _Value:
    """Pay for the body of a macro."""
    effort_of(context).spend(units)
    return value


@pass_context
def _loop(context: Context, values: _Value, units: int) -> _Value:
    """Pay for all turns of a loop before the first one."""
    if isinstance(values, str | list | tuple | dict | range):
        effort_of(context).spend(len(values) * units)
    return values


@pass_context
def _look(context: Context, value: _Value) -> _Value:
    """Pay for a comparison."""
    effort_of(context).look_at(value)
    return value


@pass_context
def _join(context: Context, values: Sequence[_Value]) -> str:
    """Join by `~`."""
    effort_of(context).copy(values)
    return "".join(map(str, values))


@pass_context
def _apply(
    context: Context, value: _Value, name: str, /, *args: _Value, **kwargs: _Value
) -> _Value:
    return context.environment.call_filter(name, value, args, kwargs, context=context)


@pass_context
def _ask(context: Context, value: _Value, name: str, /, *args: _Value, **kwargs: _Value) -> _Value:
    return context.environment.call_test(name, value, args, kwargs, context=context)


# Their names hold a space, so that no template can name them.
HOOKS = {
    PAY: _pay,
    LOOP: _loop,
    COMPARE: _look,
    JOIN: _join,
    FILTER: _apply,
    TEST: _ask,
}
