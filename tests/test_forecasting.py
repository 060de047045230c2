"""Laws of forecasts: a dry run tells what the run that follows will do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from personalm import pipeline
from personalm.accounts import Change
from personalm.forecasting import forecast
from personalm.store.reading import read_table
from tests.test_strangers import ADA, PEOPLE, edition, settings_of

if TYPE_CHECKING:
    from pathlib import Path

FEW = PEOPLE[:9]
"""So few that no pool can be made of them."""


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_dry_run_knows_of_the_first_pool(memory_path: Path, *, rebuild: bool) -> None:
    """The night when people are enough writes every text again, and says so before."""
    settings = settings_of(memory_path, FEW)
    pipeline.run(settings)
    settings_of(memory_path, PEOPLE)

    expected = forecast(settings, rebuild=rebuild)
    counts = pipeline.run(settings, rebuild=rebuild).counts

    assert expected.counts.generated == counts.generated == len(PEOPLE)
    assert expected.changes == {
        ("post", Change.NEW): len(PEOPLE) - len(FEW),
        ("post", Change.SETTINGS): len(FEW),
    }


@pytest.mark.parametrize("rebuild", [False, True])
def test_people_who_are_still_too_few_redo_nothing(memory_path: Path, *, rebuild: bool) -> None:
    """Where no pool comes of it, nothing is another."""
    settings = settings_of(memory_path, FEW)
    pipeline.run(settings)
    settings_of(memory_path, [*FEW, ADA])

    expected = forecast(settings, rebuild=rebuild).counts
    counts = pipeline.run(settings, rebuild=rebuild).counts

    assert edition(settings) is None
    assert expected.generated == counts.generated == 1
    assert expected.unchanged == counts.unchanged == len(FEW)


def test_a_pool_that_was_removed_is_made_of_the_texts_of_today(memory_path: Path) -> None:
    """That is another one, and writes every text again, as the dry run said."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    shutil.rmtree(settings.output / "_artefacts")
    settings_of(memory_path, [*PEOPLE, ADA])

    expected = forecast(settings).counts
    counts = pipeline.run(settings).counts

    assert expected.generated == counts.generated == len(PEOPLE) + 1


def test_another_embedder_whose_pool_cannot_be_made_is_foreseen(memory_path: Path) -> None:
    """And a pool that stays, however its people come and go, is another for nobody."""
    settings = settings_of(memory_path)
    pipeline.run(settings)
    settings_of(memory_path, FEW)
    assert forecast(settings).counts.generated == pipeline.run(settings).counts.generated == 0

    selection = settings.selection.model_copy(update={"scorer": "shape"})
    shape = settings.model_copy(update={"selection": selection})
    expected = forecast(shape).counts
    counts = pipeline.run(shape).counts

    assert expected.generated == counts.generated == len(FEW)
    assert edition(shape) is None
    assert forecast(shape).counts.generated == pipeline.run(shape).counts.generated == 0


def test_it_makes_no_pool_and_embeds_nothing(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing whose texts would be in it needs no model."""

    def refuse(*_: object) -> None:
        raise AssertionError

    settings = settings_of(memory_path, FEW)
    pipeline.run(settings)
    settings_of(memory_path)
    monkeypatch.setattr("personalm.selection.embedder.ScriptedEmbedder.encode", refuse)

    assert forecast(settings).counts.generated == len(PEOPLE)
    assert edition(settings) is None
    assert read_table(settings.output).num_rows == len(FEW)


def test_who_opted_out_makes_no_pool(memory_path: Path) -> None:
    """The people of a pool are counted as a run counts them."""
    settings = settings_of(memory_path, FEW)
    pipeline.run(settings)
    shy = [replace(person, opt_out=True) for person in PEOPLE[len(FEW) :]]
    settings_of(memory_path, [*FEW, *shy])

    expected = forecast(settings).counts
    counts = pipeline.run(settings).counts

    assert expected.generated == counts.generated == 0
    assert expected.opted_out == counts.opted_out == len(shy)
