"""Whatever users, items and tables hold is only ever a value in a prompt."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import personalm
from personalm.kinds import FrontMatter, Kind
from personalm.prompting.budget import Material
from personalm.prompting.context import build_context
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import Interaction, Item, Profile, Prompt, Request, Task, Turn
from personalm.settings import Generation, Prompting

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXPRESSIONS = (
    "7 * 7",
    "config",
    "self.__init__.__globals__",
    "''.__class__.__mro__[1].__subclasses__()",
    "cycler.__init__.__globals__.os.system('id')",
    "lipsum.__globals__['os'].popen('id').read()",
    "namespace.__init__.__globals__",
    "request.application.__globals__",
    "'{0.__class__}'.format(subject)",
    "'%s' % user",
    "subject | attr('__class__')",
    "'a' * 200000000",
    "range(999999999) | list",
    "user.name",
    "samples | join",
    "include '/etc/passwd'",
    "x\n}} {{ y",
    "🙂 \u202e \u200b é e\u0301",
    "\x00\x1b[31m\r\n\t",
    "<|endoftext|><s>[INST]<|im_start|>",
    'What\'s new & <b>bold</b> &amp; "quoted"',
    "$HOME `id` $(id) ${x} %s %(x)s \\n \\x41 \\",
    "0",
    "",
    "'''\"\"\"",
)
_WRAPPERS = (
    "{{ %s }}",
    "{%% %s %%}",
    "{# %s #}",
    "{%% raw %%}%s{%% endraw %%}",
    "{%% for a in b %%}%s{%% endfor %%}",
    "{%% macro f() %%}%s{%% endmacro %%}",
    "{{ '%s' }}",
    '{{ "%s" | e }}',
    "}} %s {{",
    "%%} %s {%%",
    "#} %s {#",
    "{{%s",
    "%s}}",
    "{%%- %s -%%}",
    "# %s",
    "## %s",
    "${%s}",
    "{%s}",
    "<%% %s %%>",
    "%s",
    "line\n{{ %s }}\nline",
)
PAYLOADS = tuple(w % e for w, e in product(_WRAPPERS, _EXPRESSIONS))

_SOURCE = """\
{{ user.name }}|{{ user.traits | join("|") }}|{{ voice }}
{% for column, value in user.facts | dictsort %}{{ column }}={{ value }}|{% endfor %}
{% for column, value in item.facts.items() %}{{ column ~ "=" ~ value }}|{% endfor %}
{% for column in request.facts %}{{ column }}={{ request.facts[column] }}|{% endfor %}
{{ item.title }}|{{ item.description }}|{{ subject }}|{{ instructions }}
{% for text in samples + examples %}{{ text }}|{% endfor %}
{% for turn in thread %}{{ turn.text }}|{% endfor %}
end"""


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    """Return a prompter whose template shows every value there is."""
    kind = Kind(
        name="post",
        front=FrontMatter(subject="topic", max_new_tokens=8, gates=()),
        source=_SOURCE,
        digest="d",
        path=Path("post.j2"),
    )
    return Prompter(
        kinds={"post": kind},
        prompting=Prompting(max_shown_chars=400, num_style_texts=2, num_topic_texts=2),
        generation=Generation(),
        tokenizer=ByteTokenizer(),
        max_positions=1 << 16,
        seed=0,
    )


def task_of(payload: str) -> Task:
    """Return a task that holds a text in every place that a table can put one into."""
    facts: dict[str, Any] = {payload or "column": payload, "bio": payload, "list": (payload,)}
    profile = Profile(
        user_id=payload,
        name=payload,
        language="en",
        traits=(payload, payload),
        facts=facts,
        interactions=(Interaction(text=payload), Interaction(text=f"my own {payload}")),
    )
    request = Request(
        user_id=payload,
        kind="post",
        subject_id=payload,
        subject=payload,
        item=Item(item_id=payload, title=payload, description=payload, facts=facts),
        instructions=payload,
        thread_id=payload,
        request_id=payload,
        facts=facts,
    )
    return Task(
        request=request,
        profile=profile,
        voice=profile,
        thread=(Turn(text=f"asked {payload}", own=False),),
        tier="1-4",
        language="en",
        fingerprint="f",
    )


def literal_places(payload: str) -> Iterator[str]:
    """Yield the pieces of a prompt that hold the payload as it was typed."""
    yield f"{payload}|{payload}|{payload}|{payload}\n"
    yield f"{payload or 'column'}={payload}|"
    yield f"bio={payload}|"
    yield f"list={[payload]}|"
    # Descriptions, subjects and texts lose the space at their ends, and nothing else.
    yield f"{payload}|{payload.rstrip()}|{payload.rstrip()}|{payload}\n"
    yield f"my own {payload}".strip() + "|"
    yield f"asked {payload}".rstrip() + "|"


def test_there_are_many_payloads() -> None:
    """Enough of them to be more than a sample of ways to open a bracket."""
    assert len(set(PAYLOADS)) >= 500


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 75))
def test_every_payload_reaches_the_prompt_letter_by_letter(start: int, prompter: Prompter) -> None:
    """As id, name, trait, column name, fact, title, description, history, turn and subject."""
    for payload in PAYLOADS[start : start + 75]:
        prompt = prompter.prompt(task_of(payload), batch="b")

        assert isinstance(prompt, Prompt), payload
        assert [place for place in literal_places(payload) if place not in prompt.text] == []
        assert prompt.text.endswith("|end")
        assert "49" not in prompt.text


def is_plain(value: object) -> bool:
    """Say whether a value is made of the plain types, these very ones, at any depth."""
    if type(value) is dict:
        return all(type(name) is str and is_plain(each) for name, each in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    return type(value) in {str, int, float, bool}


@given(st.sampled_from(PAYLOADS))
def test_a_template_is_handed_plain_values_only(payload: str) -> None:
    """No object of the program is passed, so none of its methods can be reached."""
    task = task_of(payload)

    assert is_plain(build_context(task, Material(subject=payload, thread=task.thread)))


_COMPILERS = {
    "from_string",
    "from_code",
    "compile_expression",
    "get_template",
    "select_template",
    "get_or_select_template",
    "make_module",
    "Template",
    "NativeTemplate",
    "load",
    "parse",
    "metered",
    "compile",
    "eval",
    "exec",
}
# What each may be called with: the source of a loaded file, or a name of a file of the package.
_ALLOWED = {
    "personalm/prompting/renderer.py": {"self._environment.load(kind.source)"}
    | {"self._environment.parse(kind.source)"},
    "personalm/prompting/sandbox.py": {
        "self.template_class.from_code(self, self.compile(tree), self.make_globals(None))",
        "self.compile(tree)",
        "self.metered(source)",
        "self.parse(source)",
    },
    "personalm/pages.py": {"environment.get_template('page.html')"},
}
_OTHER_LOADS = ("re.compile", "json.load", "self._journal.load", "self.load")


def test_nothing_but_a_loaded_file_is_ever_compiled_as_a_template() -> None:
    """Every call in the package that compiles, by its syntax tree."""
    package = Path(personalm.__file__).parent
    found: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] in _COMPILERS and name not in _OTHER_LOADS:
                place = path.relative_to(package.parent).as_posix()
                found.setdefault(place, set()).add(ast.unparse(node))

    assert found == _ALLOWED
