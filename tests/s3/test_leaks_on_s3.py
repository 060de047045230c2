"""Laws of the leak index of an output on an object store: those of a folder, and no copy stays."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from personalm import pipeline
from personalm.leaks import LEAKS, take_out
from personalm.remote import place_of
from personalm.store.forgetting import forget
from personalm.store.reading import read_table
from personalm.store.verify import verify
from tests.population import Person
from tests.test_leaks import PEOPLE, edition_of, num_rows_of, settings_of, text_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_another_user_wrote_is_not_written_and_is_forgotten(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts as in a folder of this machine, where the gate has dropped some."""
    alone = settings_of(tmp_path / "alone", PEOPLE)
    pipeline.run(alone)
    text = text_of(alone, "u1")
    stranger = Person(user_id="stranger", texts=(f"as I said: {text}", "bye"))
    local = settings_of(tmp_path / "both", [*PEOPLE, stranger])
    remote = local.model_copy(update={"output": place_of(f"{s3}/out")})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    summaries = [pipeline.run(settings) for settings in (local, remote)]

    assert [summary.drops.by_gate["leak"] > 0 for summary in summaries] == [True, True]
    tables = [read_table(settings.output, "candidates") for settings in (local, remote)]
    assert tables[0].drop_columns(["run_id"]) == tables[1].drop_columns(["run_id"])
    assert pipeline.run(remote).counts.generated == 0
    before = edition_of(remote), num_rows_of(remote)
    forget(remote.output, ["stranger"], take_out={LEAKS: take_out})
    assert edition_of(remote) == before[0]
    assert num_rows_of(remote) < before[1]
    assert verify(remote.output) == ()
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
