"""Laws of the report: everything is shown, and nothing a person wrote is markup."""

from __future__ import annotations

import html
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from personalm.accounts import Counts
from personalm.generations import Generation
from personalm.records import Candidate, Key, Outcome, Reason, Rejection, Result, Stage
from personalm.report.page import name_writer, render_report
from personalm.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><script>alert(1)</script>',
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</textarea><iframe src=//x>",
    "<!--<script>-->",
    "--><script>alert(1)</script><!--",
    "<![CDATA[<script>]]>",
    "<base href=//x><link rel=stylesheet href=//x><meta http-equiv=refresh content=0>",
    "<form action=//x><input name=q><button>",
    "&lt;script&gt;&#60;script&#62;",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "<" * 200 + "script" + ">" * 200,
    "x" * 99 + "<script>",
    "\x00<scr\x00ipt>\u202e\u2028",
)

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> & {{ 7 * 7 }}'


def outcome(user_id: str, text: str) -> Outcome:
    """Return a result whose every text is hostile."""
    candidate = Candidate(number=0, text=text, num_tokens=3, finish="stop", style_cosine=0.5)
    return Outcome(
        result=Result(
            key=Key(user_id=user_id, kind="post", subject_id="s"),
            request_id=None,
            text=text,
            style_score=None,
            own_mark=None,
            style_cosine=0.5,
            tier="20+",
            language="en",
            chosen=0,
            num_candidates=1,
            model=text,
            adapter=None,
            template="post",
            prompt_hash="p",
            num_trimmed=0,
            fingerprint="f",
            seed=0,
        ),
        candidates=(candidate,),
    )


def rejection(user_id: str) -> Outcome:
    """Return a rejection."""
    return Outcome(
        rejection=Rejection(
            key=Key(user_id=user_id, kind="note", subject_id="s"),
            request_id=None,
            stage=Stage.SELECTION,
            reason=Reason.ALL_CANDIDATES_DROPPED,
            message="3 draws, 6 candidates: loop 6",
            fingerprint="f",
        )
    )


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output folder with a hostile result and a rejection."""
    store = Store.open(tmp_path / "out", buckets=1)
    with store.lock():
        journal = store.start_run("f")
        outcomes = (outcome(HOSTILE, HOSTILE), rejection("ben"))
        journal.write("0000-u", outcomes, expected=[o.key for o in outcomes])
        counts = Counts(requests=2, results=1, rejections=1, generated=2)
        store.publish(journal, units={0: ["0000-u"]}, withdrawn={}, counts=counts)
    return tmp_path / "out"


@pytest.fixture(scope="module")
def hostile_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output folder with every payload as id, kind, subject, text, model and message."""
    folder = tmp_path_factory.mktemp("hostile") / "out"
    store = Store.open(folder, buckets=1)
    outcomes = []
    for payload in PAYLOADS:
        result, refused = outcome(payload, payload), rejection(f"r{payload}")
        assert result.result is not None
        assert refused.rejection is not None
        key = Key(user_id=payload, kind=payload, subject_id=payload)
        candidates = tuple(replace(c, dropped_by=payload) for c in result.candidates)
        outcomes += [
            replace(result, result=replace(result.result, key=key, tier=payload)),
            replace(
                refused,
                rejection=replace(
                    refused.rejection, key=replace(key, user_id=f"r{payload}"), message=payload
                ),
                candidates=candidates,
            ),
        ]
    with store.lock():
        journal = store.start_run("f")
        journal.write("0000-u", outcomes, expected=[o.key for o in outcomes])
        half = len(PAYLOADS)
        counts = Counts(requests=2 * half, results=half, rejections=half, generated=2 * half)
        store.publish(journal, units={0: ["0000-u"]}, withdrawn={}, counts=counts)
    return folder


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.values: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values |= {value or "" for _, value in attrs}


def test_hostile_text_is_shown_and_never_becomes_markup(output: Path) -> None:
    """No script, no picture, no event; the text can be read as it is."""
    page = render_report(output, subjects={})

    parser = Tags()
    parser.feed(page)
    assert parser.tags & {"script", "img", "iframe", "link"} == set()
    assert not [name for name in parser.attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in page
    assert "&lt;script&gt;" in page


def test_no_payload_in_any_column_becomes_markup(hostile_output: Path) -> None:
    """Only the page's own tags and attributes are there; every payload can be read."""
    keys = [Key(user_id=p, kind=p, subject_id=p) for p in PAYLOADS]
    page = render_report(hostile_output, subjects=dict(zip(keys, PAYLOADS, strict=True)))

    parser = Tags()
    parser.feed(page)
    own = "html head meta title style body h1 p div b i bdi br h2 article details summary table tr"
    assert parser.tags <= {*own.split(), "td", "th", "span"}
    attributes = "lang charset name content http-equiv class style dir"
    assert parser.attributes <= {*attributes.split()}
    assert [value for value in parser.values if "script:" in value or "//" in value] == []
    assert "default-src 'none'" in page
    for payload in PAYLOADS:
        assert (
            html.escape(payload, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
            in page
        )


def test_a_notebook_shows_payloads_as_text() -> None:
    """The same holds for the table of a generation."""
    for payload in PAYLOADS:
        written = replace(outcome(payload, payload))
        shown = Generation.of(written, prompt=payload)._repr_html_()

        parser = Tags()
        parser.feed(shown)
        assert parser.tags <= {"p", "table", "tr", "td", "th", "b"}
        assert parser.attributes == set()


def test_results_rejections_and_counts_are_all_there(output: Path) -> None:
    """A reader finds what was written, for whom, and what was not."""
    page = render_report(output, subjects={Key(user_id="ben", kind="note", subject_id="s"): "owls"})

    assert "1 texts for 1 users" in page
    assert "all_candidates_dropped" in page
    assert "owls" in page
    assert "0.50" in page


@pytest.mark.parametrize(
    ("score", "mark", "tier", "told"),
    [
        (2.13, 1.84, "20+", ("2.1", "own texts 1.8", "a stranger 0", "width: 100%")),
        (0.9, 1.8, "20+", ("0.9", "own texts 1.8", "width: 50%")),
        (-1.0, 1.8, "20+", ("-1.0", "width: 0%")),
        (None, None, "1-4", ("n/a", "too little own writing")),
        (None, None, "20+", ("n/a", "too few texts to compare with")),
        (None, 0.12, "20+", ("n/a", "own texts reach 0.1 only")),
        (None, 1.8, "20+", ("n/a", "too short")),
        (0.5, None, "20+", ("0.5", "width: 0%")),
    ],
)
def test_a_score_stands_beside_what_it_is_measured_by(
    tmp_path: Path, score: float | None, mark: float | None, tier: str, told: tuple[str, ...]
) -> None:
    """And where there is none, the page says why."""
    made = outcome("ada", "tea")
    assert made.result is not None
    made = replace(made, result=replace(made.result, style_score=score, own_mark=mark, tier=tier))
    store = Store.open(tmp_path / "out", buckets=1)
    with store.lock():
        journal = store.start_run("f")
        journal.write("0000-u", [made], expected=[made.key])
        counts = Counts(requests=1, results=1, generated=1)
        store.publish(journal, units={0: ["0000-u"]}, withdrawn={}, counts=counts)

    page = render_report(tmp_path / "out", subjects={})

    shown = page[page.index('<div class="score">') :]
    assert [part for part in told if part not in shown] == []


def test_the_page_says_what_an_adapter_wrote() -> None:
    """The name of its folder is enough; where it lies is nobody's business."""
    row = {"model": "bundled:small", "adapter": None}

    assert name_writer(row) == "bundled:small"
    assert name_writer({**row, "adapter": "/data/ours/posts"}) == "bundled:small with posts"
