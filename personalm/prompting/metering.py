"""Metering: a template's syntax tree, changed so that each costly place of it is paid for.

Loops, macros, comparisons, slices, lists, joins, filters, tests and all text that is written go
through hooks of the sandbox; the tree means what it meant before. Constructs that no prompt needs
and that could not be paid for are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.visitor import NodeTransformer

if TYPE_CHECKING:
    from personalm.prompting.sandbox import Sandbox

PAY = "pay for a body"
LOOP = "pay for a loop"
COMPARE = "pay for a look"
JOIN = "pay for a join"
FILTER = "apply a filter"
TEST = "ask a test"

_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)


def meter(tree: nodes.Template, environment: Sandbox) -> nodes.Template:
    """Return the metered tree. Raises SecurityError for what no template may use."""
    metered: nodes.Template = _Meter(environment.known_filters).visit(tree)
    metered.set_environment(environment)
    return metered


class _Meter(NodeTransformer):
    """Wraps the costly nodes; `visit_X` is called for each node X."""

    def __init__(self, known_filters: frozenset[str]) -> None:
        self._known_filters = known_filters

    def generic_visit(self, node: nodes.Node) -> nodes.Node:
        """Refuse other templates, which are not loaded files of a kind."""
        if isinstance(node, _REFUSED):
            name = type(node).__name__.lower()
            raise SecurityError(f"line {node.lineno}: templates may not use {name}")
        return super().generic_visit(node)

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802 - Jinja's
        """Let the template's own text be paid for like a value."""
        return nodes.Const(node.data, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - named by the node
        """Pay for each turn as much as its body is long."""
        if node.recursive:
            raise SecurityError(f"line {node.lineno}: loops may not be recursive")
        size = _size(node)
        self.generic_visit(node)
        node.iter = _hook(LOOP, node.iter, nodes.Const(size))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802 - named by the node
        """Pay for each call as much as the body is long."""
        return self._pay_for_body(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802 - the same
        """Pay for each call as much as the body is long."""
        return self._pay_for_body(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - the same
        """Pay for both sides."""
        self.generic_visit(node)
        node.expr = _hook(COMPARE, node.expr)
        for operand in node.ops:
            operand.expr = _hook(COMPARE, operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - the same
        """Pay for a slice, which copies."""
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _hook(COMPARE, node.node)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - the same
        """Pay for all that a list holds: it may hold another one many times over."""
        self.generic_visit(node)
        return _hook(COMPARE, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - the same
        """Pay as for a list, where values are read and not assigned."""
        self.generic_visit(node)
        return _hook(COMPARE, node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802 - the same
        """Pay as for a list."""
        self.generic_visit(node)
        return _hook(COMPARE, node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the same
        """Pay for every letter before it is joined."""
        self.generic_visit(node)
        return _hook(JOIN, nodes.List(node.nodes, lineno=node.lineno))

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802 - the same
        """Let the sandbox apply the filter."""
        if node.name not in self._known_filters:
            raise SecurityError(
                f"line {node.lineno}: templates may not use the filter {node.name}; known are "
                + ", ".join(sorted(self._known_filters))
            )
        self.generic_visit(node)
        return _through(FILTER, node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802 - the same
        """Let the sandbox ask the test."""
        self.generic_visit(node)
        return _through(TEST, node)

    def _pay_for_body(self, node: nodes.Macro | nodes.CallBlock) -> nodes.Node:
        size = _size(node)
        self.generic_visit(node)
        # It writes nothing.
        pay = _hook(PAY, nodes.Const("", lineno=node.lineno), nodes.Const(size))
        node.body.insert(0, nodes.Output([pay], lineno=node.lineno))
        return node


def _size(node: nodes.Node) -> int:
    return sum(1 for _ in node.find_all(nodes.Node))


def _hook(name: str, node: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _through(hook: str, node: nodes.Filter | nodes.Test) -> nodes.Filter:
    return nodes.Filter(
        node.node,
        hook,
        [nodes.Const(node.name), *node.args],
        node.kwargs,
        node.dyn_args,
        node.dyn_kwargs,
        lineno=node.lineno,
    )
