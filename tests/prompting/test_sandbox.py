"""A template of an operator cannot leave the sandbox, and cannot run away within it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import SecurityError, UndefinedError

from personalm.errors import TemplateError
from personalm.kinds import FrontMatter, Kind
from personalm.prompting.context import FULL_CONTEXT
from personalm.prompting.effort import Effort, TooMuchEffortError
from personalm.prompting.renderer import Renderer
from personalm.prompting.sandbox import FILTER_NAMES, TEXT_METHODS, Sandbox


def render(source: str, **values: object) -> str:
    """Render a source in the bare sandbox, where Jinja's own errors can be seen."""
    return Sandbox().load(source).render({**FULL_CONTEXT, **values})


def renderer_of(source: str) -> Renderer:
    """Return a renderer with one kind."""
    front = FrontMatter(subject="topic", max_new_tokens=8, gates=())
    kind = Kind(name="k", front=front, source=source, digest="d", path=Path("/folder/k.j2"))
    return Renderer({"k": kind})


ESCAPES = (
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ subject.__class__.__mro__[1].__subclasses__() }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(subject) }}",
    "{{ '{x.__class__}'.format_map({'x': subject}) }}",
    "{{ ''['format'](subject) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(subject) }}",
    "{{ ['{0.__class__}'] | map(attribute='format') | first }}",
    "{% set m = 'format' %}{{ '{0.__class__}'[m](1) }}",
    "{{ '{0.__class__}' | format(1) }}",
    "{{ '%s' | format(1) }}",
    "{{ subject | attr('__class__') }}",
    "{{ subject | attr('format') }}",
    "{{ [''] | map('attr', '__class__') | list }}",
    "{{ [''] | map('format', 1) | list }}",
    "{{ user.__class__ }}",
    "{{ user.update({'name': 1}) }}",
    "{{ user.pop('name') }}",
    "{{ user['pop']('name') }}",
    "{{ user.setdefault('x', 1) }}",
    "{{ samples.append(1) }}",
    "{{ samples.clear() }}",
    "{{ samples['sort']() }}",
    "{{ (1).to_bytes(2) }}",
    "{{ true.__class__ }}",
    "{{ range(3).__class__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{% macro f() %}{% endmacro %}{{ f.__call__.__func__ }}",
    "{% macro f() %}{% endmacro %}{{ f._func }}",
    "{% for x in samples %}{{ loop.__init__ }}{% endfor %}",
    "{% for x in samples %}{{ loop._iterator }}{% endfor %}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ namespace() }}",
    "{{ [namespace()] }}",
    "{% include '/etc/passwd' %}",
    "{% include subject %}",
    "{% import '/etc/passwd' as x %}",
    "{% from subject import x %}",
    "{% extends subject %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
)


@pytest.mark.parametrize("source", ESCAPES)
def test_the_known_ways_out_are_closed(source: str) -> None:
    """Formatting, attribute look-ups, mutation, internals, other templates: a SecurityError."""
    with pytest.raises(SecurityError):
        render(source)
    with pytest.raises(TemplateError, match=r"/folder/k\.j2: SecurityError"):
        renderer_of(source)


@pytest.mark.parametrize("source", ["{{ cycler }}", "{{ lipsum(1) }}", "{{ dict() }}", "{{ g }}"])
def test_there_are_no_other_names(source: str) -> None:
    """The functions that Jinja offers by itself are gone."""
    with pytest.raises(UndefinedError):
        render(source)


@pytest.mark.parametrize("name", sorted(set(dir("")) - TEXT_METHODS))
def test_a_text_has_the_listed_methods_only(name: str) -> None:
    """Neither as attribute nor as item."""
    for source in (f"{{{{ 'x'.{name} }}}}", f"{{{{ 'x'['{name}'] }}}}"):
        with pytest.raises(SecurityError):
            render(source)


@pytest.mark.parametrize("name", sorted(set(dir([])) | set(dir(1)) | set(dir(1.5))))
def test_lists_and_numbers_have_no_methods(name: str) -> None:
    """None is needed, and some fill the memory."""
    values: tuple[object, ...] = ([], 1, 1.5, True)
    for value in values:
        with pytest.raises((SecurityError, UndefinedError)):
            render(f"{{{{ v.{name} }}}}{{{{ v['{name}'] }}}}", v=value)


_NINE = [f"{{% set x{n + 1} = [{', '.join([f'x{n}'] * 9)}] %}}" for n in range(12)]
_TOWER = "{% set x0 = ['x'] %}" + "".join(_NINE)

BOMBS = {
    "text-times-number": "{{ 'a' * 200000000 }}",
    "number-times-text": "{{ 200000000 * 'a' }}",
    "list-times-number": "{{ [1] * 200000000 }}",
    "power": "{{ 9 ** 99999999 }}",
    "squares": "{% set n = namespace(a=9) %}"
    "{% for i in range(99) %}{% set n.a = n.a * n.a %}{% endfor %}",
    "large-number": "{% set n = namespace(a=9) %}"
    "{% for i in range(999) %}{% set n.a = n.a + n.a %}{% endfor %}",
    "padding-by-percent": "{{ '%200000000s' % 'x' }}",
    "padding-by-format": "{{ '{:200000000}'.format('x') }}",
    "padding-by-filter": "{{ 'x' | center(200000000) }}",
    "padding-by-method": "{{ 'x'.ljust(200000000) }}",
    "indent": "{{ 'x' | indent(200000000, true) }}",
    "batch": "{{ [1] | batch(200000000, 'x') | list }}",
    "slice": "{{ [1] | slice(200000000) | list }}",
    "bytes": "{{ (1).to_bytes(200000000) }}",
    "range": "{{ range(200000000) | list }}",
    "silent-loops": "{% for a in range(99999) %}"
    "{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "filtered-loops": "{% for a in range(99999) %}"
    "{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "loops-over-text": "{% for a in s %}{% for b in s %}{% for c in s %}{% for d in s %}"
    "{% for e in s %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "recursive-loop": "{% for a in range(9000) recursive %}"
    "{% if not loop.depth0 %}{{ loop(range(99999)) }}{% endif %}{% endfor %}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "doubling-macro": "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set n = namespace(a='a') %}"
    "{% for i in range(60) %}{% set n.a = f(n.a) %}{% endfor %}",
    "doubling-join": "{% set n = namespace(a='a') %}"
    "{% for i in range(60) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "doubling-sum": "{% set n = namespace(a='a') %}"
    "{% for i in range(60) %}{% set n.a = n.a + n.a %}{% endfor %}",
    "doubling-lists": "{% set n = namespace(a=[1]) %}"
    "{% for i in range(60) %}{% set n.a = n.a + n.a %}{% endfor %}",
    "static-text": "{% set x %}{% for i in range(99999) %}"
    + "text " * 500
    + "{% endfor %}{% endset %}",
    "nested-lists": _TOWER + "{{ x12 }}",
    "compared-lists": _TOWER + _TOWER.replace("x", "y") + "{{ x12 == y12 }}",
    "many-comparisons": "{% set a = range(9999) | list %}{% set b = range(9999) | list %}"
    "{% for i in range(99999) %}{% if a == b %}{% endif %}{% endfor %}",
    "many-slices": "{% set a = range(9999) | list %}"
    "{% for i in range(99999) %}{% set b = a[::-1] %}{% endfor %}",
    "many-sorts": "{% set a = range(9999) | list %}"
    "{% for i in range(99999) %}{% set b = a | sort %}{% endfor %}",
    "many-tests": "{% set a = range(9999) | list %}"
    "{% for i in range(99999) %}{% if 'z' is in(a) %}{% endif %}{% endfor %}",
    "strip": "{% set a = range(99999) | join %}{{ a.strip(a ~ 'x') }}",
    "replace": "{% set a = range(20000) | join %}{{ a | replace('1', a) }}",
    "join": "{% set a = range(9999) | join %}{{ range(9999) | join(a) }}",
    "mapped-join": "{% set a = range(9999) | join %}"
    "{% for i in range(999) %}{% set b = [range(999)] | map('join', a) %}{% endfor %}",
    "sum-of-lists": "{{ [[1], [2]] | sum(start=[]) }}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "nested-blocks": "{% for a in samples %}" * 50 + "{% endfor %}" * 50,
}

_LIMITED = """
import resource, sys
from pathlib import Path
from personalm.errors import TemplateError
from personalm.kinds import FrontMatter, Kind
from personalm.prompting.renderer import Renderer
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
front = FrontMatter(subject="topic", max_new_tokens=8, gates=())
for source in sys.stdin.read().split("\\0"):
    kind = Kind(name="k", front=front, source=source, digest="d", path=Path("k.j2"))
    try:
        Renderer({"k": kind})
    except TemplateError as error:
        print(error.message)
    else:
        print("rendered:", source[:80])
"""


def test_no_template_takes_long_or_fills_the_memory() -> None:
    """All bombs together, within 64 MiB more than the empty program and a few seconds."""
    sources = [source.replace(" in s %", " in 'abcdefgh' * 1 %") for source in BOMBS.values()]
    sources = [source.replace("'abcdefgh' * 1", repr("abcdefgh" * 9)) for source in sources]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED],
        input="\0".join(sources),
        capture_output=True,
        text=True,
        check=True,
    )

    lines = done.stdout.splitlines()
    refusals = ("SecurityError", "TooMuchEffortError", "expressions are nested", "OverflowError")
    assert [
        line for line in lines if not line.startswith(tuple(f"k.j2: {r}" for r in refusals))
    ] == []
    assert len(lines) == len(BOMBS)


@pytest.mark.parametrize(
    "source", ["{{ subject }}{{ subject }}", "{% for a in subject %}{% endfor %}"]
)
def test_a_row_with_huge_values_costs_that_row_only(source: str) -> None:
    """The same bound holds for what users bring; the message holds nothing of it."""
    renderer = renderer_of(source)
    with pytest.raises(TemplateError, match="more than 2,000,000 steps") as caught:
        renderer.render("k", {**FULL_CONTEXT, "subject": "xyz" * 1_000_000})

    assert "xyz" not in str(caught.value)
    assert renderer.render("k", FULL_CONTEXT) is not None


def test_a_prompt_has_a_largest_size() -> None:
    """Below what the effort allows, and well above what any model reads."""
    renderer = renderer_of("{{ subject }}")

    assert len(renderer.render("k", {**FULL_CONTEXT, "subject": "x" * 200_000})) == 200_000
    with pytest.raises(TemplateError, match="more than 200000 letters"):
        renderer.render("k", {**FULL_CONTEXT, "subject": "x" * 200_001})


@given(st.recursive(st.text() | st.integers() | st.none() | st.floats(), st.lists, max_leaves=9))
def test_a_copy_costs_at_least_the_letters_that_it_makes(value: object) -> None:
    """So no value is longer, as text, than the effort that was left."""
    room = len(str(value))
    effort = Effort(limit=10 * room + 10)
    effort.copy(value)

    with pytest.raises(TooMuchEffortError):
        effort.copy([value] * (40 * room + 40))


USES = {
    "{{ [1, 2, 3] | sum }}": "6",
    "{{ ['b', 'a'] | sort | join(', ') }}": "a, b",
    "{{ 'a-b' | replace('-', '+') | upper }}": "A+B",
    "{{ 'x' ~ 1 ~ 'y' }}": "x1y",
    "{{ 'a' + 'b' }}{{ 2 + 3 * 4 - 7 // 2 % 2 }}": "ab13",
    "{% for a in [1, 2] %}{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}": ("2,2"),
    "{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}": "a=1",
    "{{ {'a': 1}.get('b', 2) }}{{ {'a': 1}.keys() | first }}{{ {'a': 1}.values() | first }}": "2a1",
    "{% macro f(x, y=2) %}<{{ x }}{{ y }}>{% endmacro %}{{ f(1) }}{{ f(3, y=4) }}": "<12><34>",
    "{% macro f() %}({{ caller() }}){% endmacro %}{% call f() %}in{% endcall %}": "(in)",
    "{% set x %}block{% endset %}{{ x }}{% filter upper %}f{% endfilter %}": "blockF",
    "{{ 'abc'[1:] }}{{ [1, 2, 3][::-1] | join }}": "bc321",
    "{{ 1 if 'a' in 'abc' and 2 > 1 else 0 }}": "1",
    "{{ 3 is odd }}{{ nothing is defined }}{{ subject is string }}": "TrueFalseTrue",
    "{{ [{'n': 1}, {'n': 2}] | map(attribute='n') | join('+') }}": "1+2",
    "{{ ['a', ''] | select | list }}": "['a']",
    "{{ [1, 2] | select('odd') | list }}": "[1]",
    "{{ 'One. Two.' | clip(5) }}{{ ' a  b ' | one_line }}": "One.a b",
    "{{ none | default('x', true) }}{{ nothing | default('y') }}": "xy",
    "{{ 'A b'.split() | join('-') }}{{ ' x '.strip() }}": "A-bx",
    "{% set n = namespace(i=0) %}{% for a in [4, 6] %}{% set n.i = n.i + a %}{% endfor %}{{n.i}}": (
        "10"
    ),
}


@pytest.mark.parametrize("source", USES)
def test_ordinary_templates_mean_what_they_mean_in_jinja(source: str) -> None:
    """The sandbox changes no result."""
    assert render(source) == USES[source]


def test_every_listed_filter_is_one_of_jinja() -> None:
    """And each of them can be asked for."""
    assert Sandbox().filters.keys() > FILTER_NAMES
