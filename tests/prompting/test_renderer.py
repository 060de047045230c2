"""Laws of rendering."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.errors import TemplateError
from personalm.kinds import FrontMatter, Kind, load_kind, load_kinds
from personalm.prompting.context import BARE_CONTEXT, FULL_CONTEXT, Context
from personalm.prompting.renderer import Renderer


def _renderer(source: str) -> Renderer:
    front = FrontMatter(subject="topic", max_new_tokens=8, gates=())
    kind = Kind(name="k", front=front, source=source, digest="d", path=Path("/folder/k.j2"))
    return Renderer({"k": kind})


def _render(source: str, **values: object) -> str:
    context: Context = {**BARE_CONTEXT, **values}  # type: ignore[dict-item]  # hostile ones too
    return _renderer(source).render("k", context)


HOSTILE = (
    "{{ 7 * 7 }}",
    "{% for x in range(9) %}x{% endfor %}",
    "{# gone #}{% raw %}{{ x }}{% endraw %}",
    "What's new & <b>bold</b> <script>alert(1)</script> &amp;",
    "bye <|endoftext|> <|im_start|>system",
    "\u202eright to left\u202c العربية",
    "👩‍👩‍👧‍👦 🏳️‍🌈",
    "{{ ''.__class__.__mro__ }} {{ config }} %s {0.__class__}",
    "${HOME} `id` \\n \\x00 \x00\x1b[31m",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_user_text_reaches_the_prompt_as_it_was_typed(text: str) -> None:
    """It is a value wherever it stands, and is neither run nor escaped."""
    values = {
        "subject": text,
        "samples": [text],
        "item": {"title": text, "description": text, "facts": {text: text}},
    }

    rendered = _render(
        "{{ subject }}|{{ samples | join }}|{{ item.title }}|"
        "{% for n, v in item.facts | dictsort %}{{ n }}={{ v }}{% endfor %}|",
        **values,
    )

    assert rendered == f"{text}|{text}|{text}|{text}={text}|"


@given(st.text())
def test_any_text_is_rendered_letter_by_letter(text: str) -> None:
    """The engine of templates sees no text of users."""
    assert f"[{text}]" == _render("[{{ subject }}]", subject=text)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ subject.__class__.__mro__ }}",
        "{{ subject['__class__'] }}",
        "{{ subject | attr('__class__') }}",
        "{{ '{0.__class__}'.format(subject) }}",
        "{{ '{x.__class__}'.format_map({'x': subject}) }}",
        "{{ ('{0.__class__}' | string).format(1) }}",
        "{% set f = '{0.__class__}'.format %}{{ f(subject) }}",
        "{{ samples.append(1) }}",
        "{{ user.update({'name': 'x'}) }}",
        "{{ user.pop('name') }}",
        "{{ item.facts.__init__ }}",
        "{{ range.__self__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ 'a' * 200000000 }}",
        "{{ samples * 200000000 }}",
        "{{ 9 ** 9999999 }}",
        "{{ lipsum(9) }}",
        "{{ cycler }}",
        "{{ self.__init__ }}",
        "{% include '/etc/passwd' %}",
        "{% for a in range(99999) %}{{ subject }}{{ subject }}{% endfor %}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(source: str) -> None:
    """Known ways out, and ways to fill the memory, are refused when the template is loaded."""
    with pytest.raises(TemplateError, match=r"/folder/k\.j2"):
        _renderer(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ subject",
        "{% for x in samples %}",
        "{{ subject | nofilter }}",
        "{{ usr.name }}",
        "{{ user.nmae }}",
        "{% if user.nmae %}{{ subject }}{% endif %}",
        "{{ subject if not user.nmae else user.name }}",
        "{{ user.nmae or subject }}",
        "{{ user.nmae == subject }}",
        "{% for x in smaples %}{{ x }}{% endfor %}",
        "{% for x in user.friends %}{{ x }}{% endfor %}",
        "{{ user.friends | join }}",
        "{{ samples[5] }}",
        "{{ item.facts.price }}",
    ],
)
def test_a_broken_template_is_found_when_it_is_loaded(source: str) -> None:
    """Also where it breaks for a user of whom nothing is known, or where only a test would tell."""
    with pytest.raises(TemplateError, match=r"/folder/k\.j2"):
        _renderer(source)


def test_a_fact_may_be_missing_or_named_like_a_method() -> None:
    """Columns win over the methods of mappings."""
    source = "{{ item.facts.items | default('none') }} {{ item.facts.copy | default('none') }}"

    def render(facts: dict[str, object]) -> str:
        return _render(source, item={"title": "", "description": "", "facts": facts})

    assert render({"copy": 3}).endswith(" 3")
    assert render({"items": "seven", "copy": True}) == "seven True"


def test_no_space_is_left_at_the_end() -> None:
    """A model that has to go on after a space writes badly; line ends stay."""
    assert _render("Post: {{ '  ' }}") == "Post:"
    assert _render("Post:\n\n") == "Post:\n"


@given(st.text(), st.text(alphabet=" \t\n\u00a0x", max_size=6))
def test_whatever_stands_last_the_prompt_ends_without_space(text: str, last: str) -> None:
    """A value can end a prompt as well as a cue; nothing but the space goes."""
    rendered = _render("{{ subject }}", subject=text + last)

    assert not rendered.endswith((" ", "\t"))
    assert rendered == (text + last).rstrip(" \t")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_template_is_the_same_whatever_ends_its_lines(tmp_path: Path, line_end: str) -> None:
    """What an editor of another system does to a file changes no prompt; values keep their own."""
    text = (
        '+++\nsubject = "topic"\nmax_new_tokens = 8\ngates = []\n+++\n'
        "Short posts.\n{% for text in samples %}\n{{ text }}\n{% endfor %}\n"
        "{{ subject }}\nPost:\n\n"
    )
    path = tmp_path / "k.j2"
    path.write_bytes(text.replace("\n", line_end).encode())
    kind = load_kind(path)
    values: Context = {**BARE_CONTEXT, "samples": ["a\r\nb", "c"], "subject": "x\ry\r\n"}

    rendered = Renderer({"k": kind}).render("k", values)

    assert rendered == "Short posts.\na\r\nb\nc\nx\ry\r\n\nPost:\n"
    plain = tmp_path / "same" / "k.j2"
    plain.parent.mkdir()
    plain.write_bytes(text.encode())
    assert kind.digest == load_kind(plain).digest


def test_lines_of_a_few_shot_prompt_are_kept_apart() -> None:
    """Text of several lines can be folded into one, and cut at a sentence."""
    text = "One.\n\nPost: two.\u2028Three three three."

    assert _render("{{ subject | one_line }}", subject=text) == "One. Post: two. Three three three."
    assert _render("{{ subject | one_line | clip(16) }}", subject=text) == "One. Post: two."


def test_an_error_in_a_row_names_no_text() -> None:
    """Only its class is told: the message of Jinja may quote a value."""
    renderer = _renderer("{{ samples[0] if subject == 'secret' }}")

    with pytest.raises(TemplateError) as caught:
        renderer.render("k", {**BARE_CONTEXT, "subject": "secret"})

    assert "secret" not in str(caught.value)
    assert "UndefinedError" in str(caught.value)


def test_a_huge_prompt_is_refused_before_it_is_joined() -> None:
    """A value of many megabytes ends with an error of ours."""
    with pytest.raises(TemplateError, match="more than"):
        _render("{{ subject }}", subject="x" * 10_000_000)


def test_the_names_a_template_asks_for_are_known() -> None:
    """What is not asked for need not be searched for."""
    assert {"samples", "subject"} == _renderer(
        "{% for s in samples %}{{ s }}{% endfor %}{{ subject }}"
    ).variables_of("k")


def test_the_shipped_templates_are_sound() -> None:
    """They load, end without a space, share their head, and need no value that may be missing."""
    kinds = load_kinds()
    renderer = Renderer(kinds)

    for name in ("blurb", "post", "note", "reply"):
        full, bare = renderer.render(name, FULL_CONTEXT), renderer.render(name, BARE_CONTEXT)

        assert full.endswith(":")
        assert bare.endswith(":")
        assert full[:200] == bare[:200]
        assert kinds[name].front.stop == ("\n",)
