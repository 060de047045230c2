"""Laws of the examples: they run as written, on the tables that PERSONALM_DATA names.

Those that need the tables are skipped without it; that settings are valid is checked always.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from personalm import pipeline
from personalm.assembly import Assembly
from personalm.doctor.examine import examine
from personalm.forecasting import open_plans
from personalm.progress import SilentProgress
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import Prompt
from personalm.settings import load_settings
from personalm.store.reading import read_table

if TYPE_CHECKING:
    from personalm.records import Task
    from personalm.settings import Settings

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(
    path for path in (ROOT / "examples").glob("*.toml") if not path.name.startswith("finetune-")
)
TRAININGS = sorted((ROOT / "examples").glob("finetune-*.toml"))
FAKES = {"model": "scripted", "selection.embedder": "scripted"}
NUM_USERS = 8

needs_data = pytest.mark.skipif(
    "PERSONALM_DATA" not in os.environ, reason="PERSONALM_DATA names no folder of real tables"
)


def load(name: str, **overrides: object) -> Settings:
    """Return the settings of an example, with fakes for the models."""
    return load_settings(ROOT / "examples" / f"{name}.toml", **{**FAKES, **overrides})


def tasks_of(name: str, *, limit: int | None = None) -> list[Task]:
    """Return what an example asks for."""
    with open_plans(load(name), limit=limit) as (_, plans):
        return [task for plan in plans for unit in plan.units for task in unit.tasks]


def prompts_of(name: str, tasks: list[Task]) -> list[Prompt]:
    """Return the prompts of tasks, for a model of 2,048 positions (of letters: four times)."""
    settings = load(name)
    prompter = Prompter(
        kinds=Assembly(settings).kinds,
        prompting=settings.prompting,
        generation=settings.generation,
        tokenizer=ByteTokenizer(),
        max_positions=4 * 2_048,
        seed=0,
    )
    prompts = [prompter.prompt(task, batch="b") for task in tasks]
    made = [prompt for prompt in prompts if isinstance(prompt, Prompt)]
    assert len(made) == len(tasks) > 0
    return made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_and_says_how_to_run_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are known, and its first lines name its own command."""
    monkeypatch.setenv("PERSONALM_DATA", "/data")

    assert load_settings(path).inputs
    assert f"PERSONALM_DATA=FOLDER personalm run --config examples/{path.name}" in path.read_text()


@pytest.mark.parametrize("path", TRAININGS, ids=lambda path: path.stem)
def test_a_training_is_valid_and_says_how_to_run_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are known, and its first lines name the command, and the run that follows."""
    monkeypatch.setenv("PERSONALM_DATA", "/data")

    assert load_settings(path).training.max_hours
    for command in ("finetune", "run"):
        assert f"personalm {command} --config examples/{path.name}" in path.read_text()


@needs_data
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_doctor_finds_every_example_sound(path: Path) -> None:
    """Every table is read whole; nobody is of an unknown thread or item."""
    diagnosis = examine(path, progress=SilentProgress(), **FAKES)

    assert diagnosis.would_run, diagnosis.problems
    assert diagnosis.census is not None
    assert diagnosis.census.num_to_write > 0
    assert diagnosis.census.num_for_unknown_threads == 0
    assert diagnosis.census.num_for_unknown_items == 0


@needs_data
@pytest.mark.parametrize("name", ["persona_chat_ja", "customer_care", "goodbooks"])
def test_an_example_runs_as_written(name: str, tmp_path: Path) -> None:
    """Every request of a few users has an outcome."""
    counts = pipeline.run(load(name, output=tmp_path / "out"), limit=NUM_USERS).counts

    assert counts.is_balanced
    assert counts.requests >= NUM_USERS


@needs_data
def test_a_model_that_writes_english_rejects_every_japanese_request(tmp_path: Path) -> None:
    """Those of people without a word of their own included."""
    settings = load("persona_chat_ja", output=tmp_path / "o", **{"generation.languages": ["en"]})

    counts = pipeline.run(settings).counts

    assert (counts.requests, counts.rejections, counts.generated) == (223, 223, 0)
    reasons = read_table(settings.output, table="rejections")["reason"].to_pylist()
    assert set(reasons) == {"language_not_supported"}


@needs_data
def test_a_brand_answers_the_last_customer_with_the_turns_before() -> None:
    """One request a thread, with the turns before its last message; its answer is in no prompt."""
    path = Path(os.environ["PERSONALM_DATA"], "customer_care", "messages.parquet")
    threads: dict[str, list[dict[str, str]]] = {}
    for row in pq.read_table(path).to_pylist():  # the threads lie in one piece each, in order
        threads.setdefault(row["thread_id"], []).append({**row, "text": unescape(row["text"])})
    tasks = tasks_of("customer_care")
    assert sorted(task.request.thread_id or "" for task in tasks) == sorted(threads)
    for task in tasks:
        thread = threads[task.request.thread_id or ""]
        last = max(n for n, row in enumerate(thread) if row["kind"] == "customer")
        assert (task.request.user_id, task.request.subject) == (
            thread[last]["user_id"],
            thread[last]["text"].strip(),
        )
        assert [(turn.text, turn.own) for turn in task.thread] == [
            (row["text"], row["kind"] == "customer") for row in thread[:last]
        ]
    for task, prompt in zip(tasks[::9], prompts_of("customer_care", tasks[::9]), strict=True):
        thread = threads[task.request.thread_id or ""]
        answer = " ".join(thread[-1]["text"].split())
        assert thread[-1]["kind"] == "agent_reply"
        assert answer not in prompt.text
        assert "&amp;" not in prompt.text
    assert max(len(task.thread) for task in tasks) == 14


@needs_data
def test_a_study_note_sees_no_markup() -> None:
    """Tags, attribute lists, links and pictures are gone; a passage ends with a sentence."""
    prompts = prompts_of("study", tasks_of("study"))
    assert len(prompts) == 106
    passages = [prompt.subject or "" for prompt in prompts]
    marks = re.compile(
        r"</?\w+[^>]*>|\{:|\]\(|!\[|\*\*|&\w+;|data-type|markdown=|^---", re.MULTILINE
    )
    assert [found for passage in passages for found in marks.findall(passage)] == []
    assert max(map(len, passages)) <= 1_500
    ends = Counter(passage[-1] in '.!?"”)' for passage in passages)
    assert ends[True] >= 0.9 * len(passages)


@needs_data
def test_books_are_told_by_their_facts() -> None:
    """An item of the catalogue for each user, with its author in the prompt."""
    tasks = tasks_of("goodbooks", limit=NUM_USERS)
    for task, prompt in zip(tasks, prompts_of("goodbooks", tasks), strict=True):
        assert task.request.item is not None
        assert f"Item: {task.request.item.title[:40]}" in prompt.text
        assert str(task.request.item.facts["authors"])[:40] in prompt.text
