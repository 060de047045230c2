"""Laws of size: what a run holds does not grow with the number of users, units or buckets."""

from __future__ import annotations

import gc
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from personalm import pipeline
from personalm.forecasting import forecast
from personalm.inputs import volume
from personalm.intake import num_buckets_of
from personalm.pipeline import Run, open_run
from personalm.progress import SilentProgress
from personalm.records import Draw, Outcome, Profile
from personalm.settings import Settings, load_settings
from personalm.store.reading import read_table
from personalm.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.accounts import Counts
    from personalm.writing import WrittenUnit

ROOT = Path(__file__).parent.parent


def sample_settings(output: Path) -> Settings:
    """Return the settings of the sample data, a text a unit, with fakes for the models."""
    return load_settings(
        ROOT / "personalm.toml",
        model="scripted",
        output=output,
        **{
            "selection.embedder": "scripted",
            "generation.languages": ["en"],
            "generation.unit_tokens": 1,
        },
    )


class Census(SilentProgress):
    """Counts the records that are alive, and the files that are open, unit by unit."""

    def __init__(self) -> None:
        self.num_units = 0
        self.most: Counter[type] = Counter()
        self.profiles: list[int] = []
        self.open_files: set[int] = set()

    def enter_bucket(self, num_units: int, *, done: int, counts: Counts) -> None:
        """Look at how many users are held."""
        del num_units, done, counts
        self.profiles.append(sum(isinstance(each, Profile) for each in gc.get_objects()))

    def finish_unit(self, written: WrittenUnit) -> None:
        """Look at what has been made of them."""
        del written
        self.num_units += 1
        alive = Counter(map(type, gc.get_objects()))
        for kind in (Draw, Outcome):
            self.most[kind] = max(self.most[kind], alive[kind])
        self.open_files.add(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - names are all


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Census]:
    """Return what was counted in a run over the sample data."""
    gc.collect()
    gc.freeze()  # what is there already is not looked at
    counted = Census()
    pipeline.run(sample_settings(tmp_path_factory.mktemp("census")), progress=counted)
    yield counted
    gc.unfreeze()


def test_what_a_unit_has_made_is_let_go_once_it_is_journalled(census: Census) -> None:
    """After seventy units no more draws and outcomes are alive than a few units make."""
    assert census.num_units >= 60
    assert census.most[Draw] <= 9
    # A few more than a unit's: what planning refused is a unit of its own.
    assert census.most[Outcome] <= 10
    assert len(census.open_files) == 1


def test_users_of_one_bucket_are_held_at_a_time(census: Census, tmp_path: Path) -> None:
    """In the last bucket no more users are alive than live there; voices may be copies."""
    with open_run(sample_settings(tmp_path / "out")) as run:
        users = [list(run._intake.spilled.read(bucket)) for bucket in run.buckets]
    held = [sum(1 + len(user.voices) for user in each) for each in users]
    del users
    assert len(census.profiles) == len(held)
    assert all(found <= most + 1 for found, most in zip(census.profiles, held, strict=True))


def test_larger_inputs_have_more_buckets_and_the_same_texts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The number is chosen when an output is first written, and nobody's text depends on it."""
    settings, few = sample_settings(tmp_path / "out"), sample_settings(tmp_path / "few")
    pipeline.run(few, limit=12)
    assert num_buckets_of(settings) == 4
    monkeypatch.setattr(volume, "_ROWS_A_BUCKET", 8)
    expected = num_buckets_of(settings)
    assert expected > 16

    with open_run(settings, limit=12) as run:
        run.publish([Run.attach(run.folder).write_bucket(bucket) for bucket in run.buckets])

    found = Store.find(settings.output)
    assert found is not None
    assert found.num_buckets == expected
    assert _rows(settings.output) == _rows(few.output)
    # What was first written stays, though the inputs would ask for another number now.
    monkeypatch.setattr(volume, "_ROWS_A_BUCKET", 1)
    assert forecast(settings, limit=12).counts.generated == 0
    assert pipeline.run(settings, limit=12).snapshot is None


def _rows(output: Path) -> list[str]:
    rows = read_table(output, "candidates").drop_columns(["run_id"]).to_pylist()
    return sorted(map(repr, rows))
