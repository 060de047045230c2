"""Laws of texts that are written in Markdown or HTML."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.inputs.markup import strip_markup

_PAGE = """\
---
title: "Bees"
layout: page
---

<div data-type="abstract" markdown="1">
You will be able to:
* Tell a **drone**{: data-type="term" .no-emphasis} from a worker
* Read a [dance](m1.md)

</div>

### The hive

Bees &amp; wasps differ ([\\[link\\]](#FIG_1)), as <em>Frisch</em> saw <!-- when? -->.
<script>x()</script>

![A drawing > of a hive](../hive.jpg "With <words>"){: #FIG_1}

<cnx-pi data-type="cnx.eoc">class="summary" title="Summary"</cnx-pi>

<table summary="Two > one"><caption>Sizes</caption><tr><td>drone</td><td>15 mm</td></tr></table>

Snow & ice: 3 < 4 and `a*b`.
"""


def test_markdown_with_html_inside_reads_as_the_page_would() -> None:
    """No tag, attribute, picture, entity or reference mark is left, and no word is lost."""
    assert strip_markup(_PAGE, "markdown").split("\n") == [
        "You will be able to:",
        "- Tell a drone from a worker",
        "- Read a dance",
        "The hive",
        "Bees & wasps differ, as Frisch saw.",
        "Sizes",
        "drone 15 mm",
        "Snow & ice: 3 < 4 and a*b.",
    ]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("one<br>two<p>three</p>four", "one\ntwo\nthree\nfour"),
        ("<ul><li>one<li><p>two</p><p>more</p></li><li></li></ul>", "- one\n- two\nmore"),
        ("a&nbsp;&lt;b&gt; &eacute;", "a <b> é"),
        ("bold<b>er</b> *stars* stay", "bolder *stars* stay"),
        ("5 < 6 > 4 <3 <", "5 < 6 > 4 <3 <"),
        (
            "seen<sup><a href='#n1'>[1]</a></sup>, and <a href='#top'>back up</a>",
            "seen, and back up",
        ),
        ("left <style>p {}</style>out<!-- never ends", "left out"),
        ('<img alt="<b>" src="x">after', "after"),
        ("", ""),
    ],
)
def test_html_reads_as_the_page_would(page: str, text: str) -> None:
    """Blocks are lines, entities letters; a bare `<` is a letter too."""
    assert strip_markup(page, "html") == text


def test_entities_alone_leave_all_else_alone() -> None:
    """Texts of a chat hold no tags: what looks like one is a word of theirs."""
    text = "Tom &amp; Ada:\n  see <url> &lt;3 &#x1F600; *x* &nosuch; AT&T"

    plain = strip_markup(text, "entities")

    assert plain == "Tom & Ada:\n  see <url> <3 \U0001f600 *x* &nosuch; AT&T"


@given(st.lists(st.text("ab é,.!?日本", min_size=1).filter(str.strip), min_size=1))
def test_plain_paragraphs_are_kept(paragraphs: list[str]) -> None:
    """What has no markup loses nothing but surplus space."""
    kept = [" ".join(paragraph.split()) for paragraph in paragraphs]

    found = strip_markup("".join(f"<p>{p}</p>" for p in paragraphs), "html").split("\n")

    assert [line.replace(" ", "") for line in found] == [p.replace(" ", "") for p in kept]


@given(st.text("<>/!-?'\"= ab&;#[](){}:*_`~|\n\\", max_size=200))
def test_any_text_is_read(text: str) -> None:
    """Whatever people write is no error, in either markup."""
    strip_markup(text, "markdown")
    strip_markup(text, "html")
    strip_markup(text, "entities")


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<", "<a '", '<a "x', "</a", "<?x ", "( ", "\n "])
@pytest.mark.parametrize("markup", ["markdown", "html"])
def test_broken_markup_costs_no_minutes(piece: str, markup: str) -> None:
    """What is opened ten thousand times and never closed is read in time."""
    began = time.monotonic()
    strip_markup(piece * 10_000, markup)  # type: ignore[arg-type]  # one of the two

    assert time.monotonic() - began < 5
