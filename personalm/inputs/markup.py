"""Markup to plain text: what a reader of the page would read, without tags and marks.

Markdown is turned into HTML first (CommonMark, tables, and the attribute lists and blocks of
kramdown), so that HTML inside it is treated alike. Pictures, scripts and reference marks say
nothing on their own and go; each block of the page is a line.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

    from personalm.settings import Markup

_FRONT_MATTER = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n.*?^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE
)
_ATTRIBUTES = re.compile(r"\{:[^{}\n]*\}")
_DECLARATION = re.compile(r"<[!?][^<>]{0,500}>")
_NO_TAG = re.compile(
    r"<(?!/?[a-zA-Z](?:[^<>\"']{1,1000}+|\"[^\"]{0,10000}+\"|'[^']{0,10000}+'){0,500}+>)"
)
# kramdown reads Markdown inside of such tags; CommonMark does so between blank lines.
_BLOCK_TAG = re.compile(
    r"^[ \t]*(</?(?:div|section|article|aside|figure|details)\b[^<>\n]*>)[ \t]*$", re.MULTILINE
)
_BLOCKS = frozenset(
    """address article aside blockquote br caption center dd details div dl dt fieldset figcaption
    figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol option p pre section summary
    table tbody tfoot thead title tr ul""".split()  # noqa: SIM905 - reads better
)
_CELLS = frozenset({"td", "th"})
# The last of them is how OpenStax writes processing instructions.
_UNREAD = frozenset({"script", "style", "template", "noscript", "svg", "cnx-pi"})
_REFERENCE = re.compile(r"\s*[\[(]?\s*[\[(].{0,20}[\])]\s*[\])]?\s*|[\d*†‡§^↑↩]{1,4}", re.DOTALL)
_EMPTY_BRACKETS = re.compile(r" ?(?:\( ?\)|\[ ?\])")
_DASH = re.compile(r"\n-(?:[ ]*\n)+")  # a point may begin with a block of its own
_SPACE = re.compile(r"[^\S\n]+")
_BEFORE_MARK = re.compile(r" (?=[.,;:!?)\]])")


def strip_markup(text: str, markup: Markup) -> str:
    """Return a text without its markup, a block a line; entities alone leave the lines alone."""
    if markup == "entities":
        return unescape(text)
    page = _page(text) if markup == "markdown" else text
    reader = _Reader()
    reader.feed(_defuse(page))
    reader.close()
    return reader.text


def strip_all(texts: pa.Array[Any], markup: Markup) -> pa.Array[Any]:
    """Return texts without their markup; nulls stay null."""
    plain = [None if text is None else strip_markup(text, markup) for text in texts.to_pylist()]
    return pa.array(plain, pa.string())


def _page(text: str) -> str:
    """Return Markdown as HTML."""
    text = _ATTRIBUTES.sub("", _FRONT_MATTER.sub("", text))
    html: str = _load_markdown().render(_BLOCK_TAG.sub(r"\n\1\n", text))
    return html


def _defuse(page: str) -> str:
    """Return a page without comments in which every `<` opens a whole tag.

    The parser looks for the end of what is left open again and again: minutes for one text.
    """
    first, *others = page.split("<!--")
    kept = [first, *(rest for part in others for _, _, rest in [part.partition("-->")])]
    return _NO_TAG.sub("&lt;", _DECLARATION.sub("", "".join(kept)))


@lru_cache(maxsize=1)
def _load_markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - wanted by few

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


class _Reader(HTMLParser):
    """Collects what can be read of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._unread: list[str] = []
        self._link: int | None = None
        """Where the text of an open link into the same page begins."""

    @property
    def text(self) -> str:
        """What was collected, each block on a line of its own."""
        text = _EMPTY_BRACKETS.sub("", _SPACE.sub(" ", "".join(self._pieces)))
        lines = (_BEFORE_MARK.sub("", line).strip() for line in _DASH.sub("\n- ", text).split("\n"))
        return "\n".join(line for line in lines if line not in {"", "-"})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        if tag in _UNREAD:
            self._unread.append(tag)
        elif tag == "a" and (dict(attrs).get("href") or "").startswith("#"):
            self._link = len(self._pieces)
        self._part(tag, is_open=True)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Pass an element that holds nothing."""
        del attrs
        self._part(tag, is_open=True)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, and with it what was left open inside."""
        if tag in self._unread:
            del self._unread[self._unread.index(tag) :]
        elif tag == "a" and self._link is not None:
            if _REFERENCE.fullmatch("".join(self._pieces[self._link :])):
                del self._pieces[self._link :]
            self._link = None
        self._part(tag, is_open=False)

    def handle_data(self, data: str) -> None:
        """Keep text that can be read; its own line breaks are mere space."""
        if not self._unread:
            self._pieces.append(data.replace("\n", " "))

    def _part(self, tag: str, *, is_open: bool) -> None:
        if tag == "li":
            # A dash keeps points apart where a template makes one line of them.
            self._pieces.append("\n- " if is_open else "\n")
        elif tag in _BLOCKS:
            self._pieces.append("\n")
        elif tag in _CELLS:
            self._pieces.append(" ")
