"""Laws of the report: everything is shown, and nothing a person wrote is markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from personalm.records import Candidate, Counts, Key, Outcome, Reason, Rejection, Result, Stage
from personalm.report.page import render_report
from personalm.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

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
            model="m",
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


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_hostile_text_is_shown_and_never_becomes_markup(output: Path) -> None:
    """No script, no picture, no event; the text can be read as it is."""
    page = render_report(output, subjects={})

    parser = Tags()
    parser.feed(page)
    assert parser.tags & {"script", "img", "iframe", "link"} == set()
    assert not [name for name in parser.attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in page
    assert "&lt;script&gt;" in page


def test_results_rejections_and_counts_are_all_there(output: Path) -> None:
    """A reader finds what was written, for whom, and what was not."""
    page = render_report(output, subjects={Key(user_id="ben", kind="note", subject_id="s"): "owls"})

    assert "1 texts for 1 users" in page
    assert "all_candidates_dropped" in page
    assert "owls" in page
    assert "0.50" in page
