"""One output folder: publish what a run brings, carry over the rest."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from personalm.accounts import Counts
from personalm.errors import AccountingError, StoreDamagedError, StoreError
from personalm.hashing import bucket_of
from personalm.store.identity import OLDEST, VERSIONS
from personalm.store.reading import read_table, status
from personalm.store.store import Store
from personalm.store.tidying import RETAINED
from personalm.store.verify import verify
from tests.store.world import (
    BUCKETS,
    Plan,
    is_rejected,
    key_of,
    outcome_of,
    publish,
    read_latest,
    read_view,
    run,
    table_of,
    wanted,
)

if TYPE_CHECKING:
    from pathlib import Path

USERS = ("ada", "bo", "cy", "dee", "eve", "fox", "gil")


def test_a_run_publishes_one_live_row_a_request(output: Path) -> None:
    """Requests in are results and rejections out, once each, for every kind of reader."""
    requests = wanted(*USERS)

    snapshot = run(output, requests)

    assert snapshot is not None
    assert snapshot.number == 1
    assert read_view(output) == read_latest(output) == table_of(requests)
    assert verify(output) == ()


def test_a_run_without_changes_makes_no_snapshot(output: Path) -> None:
    """The second run writes nothing and leaves the table as it is, rejections included."""
    requests = wanted(*USERS)
    run(output, requests)
    files = sorted((output / "_data").rglob("*.parquet"))

    assert run(output, requests) is None
    assert sorted((output / "_data").rglob("*.parquet")) == files
    assert status(output)["snapshot"]["number"] == 1
    assert status(output)["run"]["unchanged"] == len(USERS)


def test_a_new_outcome_replaces_every_row_of_its_key(output: Path) -> None:
    """A result that becomes a rejection, or the reverse, is live once, with its new candidates."""
    for number in range(6):
        requests = wanted(*USERS, version=f"v{number}")
        run(output, requests)

        assert read_view(output) == table_of(requests)


def test_only_buckets_that_change_are_written_again(output: Path) -> None:
    """Files of the other buckets are carried over by reference."""
    requests = wanted(*USERS)
    first = run(output, requests)
    second = run(output, requests | {key_of("ada"): "v2"})

    assert first is not None
    assert second is not None
    others = [file for file in first.files if file.bucket != bucket_of("ada", BUCKETS)]
    assert others
    assert set(others) < set(second.files)
    assert second.parent == 1


def test_keys_that_are_not_requested_stay_live(output: Path) -> None:
    """A run for some users leaves the rows of the others."""
    run(output, wanted("ada", "bo", "cy"))
    run(output, wanted("dee"))

    assert read_view(output) == table_of(wanted("ada", "bo", "cy", "dee"))


def test_rows_of_withdrawn_users_go(output: Path) -> None:
    """A user who opts out has no live row of any table; a second withdrawal changes nothing."""
    run(output, wanted(*USERS))

    assert run(output, wanted("bo"), withdrawn={"ada", "eve"}) is not None
    assert read_view(output) == table_of(wanted("bo", "cy", "dee", "fox", "gil"))
    assert run(output, wanted("bo"), withdrawn={"ada", "eve"}) is None


def test_a_table_without_rows_keeps_its_columns(output: Path) -> None:
    """A first run that finds no request, and one after which nobody is left, can be read."""
    assert run(output, {}) is not None
    assert read_view(output) == read_latest(output) == {}
    run(output, wanted("ada"))
    run(output, {}, withdrawn={"ada"})

    assert read_view(output) == read_latest(output) == {}
    assert read_table(output).num_columns == 22


def test_live_names_the_fingerprint_of_every_live_key(output: Path) -> None:
    """Results and rejections alike count as done."""
    requests = wanted(*USERS) | {key_of("ada", "other"): "v9"}
    run(output, requests)
    store = Store.open(output, buckets=BUCKETS)

    live = store.live(0) | store.live(1)
    assert requests == {key: row.fingerprint for key, row in live.items()}
    assert all(row.is_rejection == is_rejected(key, row.fingerprint) for key, row in live.items())
    assert all(bucket_of(key.user_id, BUCKETS) == 1 for key in store.live(1))


def test_publishing_a_run_twice_gives_the_same_snapshot(output: Path) -> None:
    """Publish is idempotent, also for a run that is no longer the newest."""
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        journal = store.start_run("m1")
        plan = Plan(store, wanted(*USERS))
        plan.write(journal)
        first = publish(store, journal, plan)

        assert publish(store, journal, plan) == first
    run(output, wanted(*USERS, version="v2"))
    with store.lock():
        assert publish(store, journal, plan) == first
    assert read_view(output) == read_latest(output) == table_of(wanted(*USERS, version="v2"))


def test_nothing_is_published_that_does_not_add_up(output: Path) -> None:
    """Unbalanced counts, and counts that are not those of the journal, stop the publication."""
    run(output, wanted("ada"))
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        journal = store.start_run("m1")
        plan = Plan(store, wanted(*USERS, version="v2"))
        plan.write(journal)
        right = plan.counts
        lost = {bucket: units[1:] for bucket, units in plan.unit_ids.items()}
        for units, counts in (
            (plan.unit_ids, replace(right, requests=right.requests + 1)),
            (plan.unit_ids, replace(right, requests=right.requests + 1, results=right.results + 1)),
            (lost, right),
            ({0: plan.unit_ids[1], 1: plan.unit_ids[0]}, right),
            ({b: units + units[:1] for b, units in plan.unit_ids.items()}, right),
        ):
            with pytest.raises(AccountingError):
                store.publish(journal, units=units, withdrawn={}, counts=counts)

        assert read_view(output) == table_of(wanted("ada"))
        assert publish(store, journal, plan) is not None
    assert read_view(output) == table_of(wanted(*USERS, version="v2"))


def test_a_key_of_two_units_stops_the_publication(output: Path) -> None:
    """One live row a key is checked over all that would be live, not only within a unit."""
    store = Store.open(output, buckets=1)
    with store.lock():
        journal = store.start_run("m1")
        versions = [v for v in ("v1", "v2", "v3") if outcome_of(key_of("ada"), v).result]
        for version in versions[:2]:
            journal.write(version, [outcome_of(key_of("ada"), version)], expected=[key_of("ada")])
        counts = Counts(requests=2, results=2)
        with pytest.raises(AccountingError):
            store.publish(journal, units={0: versions[:2]}, withdrawn={}, counts=counts)


def test_an_interrupted_run_goes_on_under_its_fingerprint(output: Path) -> None:
    """Journalled units are not written again."""
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        journal = store.start_run("m1")
        journal.spill_folder.mkdir()
        Plan(store, wanted("ada", "bo")).write(journal)
    with store.lock():
        resumed = store.start_run("m1")
        plan = Plan(store, wanted("ada", "bo"))

        assert resumed.run_id == journal.run_id
        assert not resumed.spill_folder.exists()
        assert plan.write(resumed) == 0
        publish(store, resumed, plan)
    assert read_view(output) == table_of(wanted("ada", "bo"))
    assert list((output / "_runs").iterdir()) == []


def test_a_run_of_another_fingerprint_is_never_blended(
    output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder is deleted, and the log says so; so is one that holds no run."""
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        old = store.start_run("m1")
        Plan(store, wanted("ada", "bo")).write(old)
        (output / "_runs" / "x").mkdir()
        with caplog.at_level(logging.INFO):
            new = store.start_run("m2")

    assert new.run_id != old.run_id
    assert new.unit_ids == ()
    assert [folder.name for folder in (output / "_runs").iterdir()] == [new.run_id]
    assert old.run_id in caplog.text


def test_units_of_another_plan_are_ignored(output: Path) -> None:
    """The inputs changed while a run was interrupted: only the units of the new plan count."""
    store = Store.open(output, buckets=BUCKETS)
    with store.lock():
        Plan(store, wanted("ada", "bo", "cy")).write(store.start_run("m1"))
    run(output, wanted("bo", "cy", version="v2"))

    assert read_view(output) == table_of(wanted("bo", "cy", version="v2"))


def test_old_snapshots_go_with_the_files_that_only_they_name(output: Path) -> None:
    """The last ten records stay, and every file that one of them names."""
    for number in range(RETAINED + 3):
        run(output, wanted("ada", "bo", version=f"v{number}"))
    named = {
        file["path"]
        for record in (output / "_snapshots").iterdir()
        for file in json.loads(record.read_bytes())["files"]
    }
    found = {str(p.relative_to(output)) for p in (output / "_data").rglob("*") if p.is_file()}

    assert len(list((output / "_snapshots").iterdir())) == RETAINED
    assert found == named
    assert verify(output) == ()


def test_the_first_number_of_buckets_stays(output: Path) -> None:
    """Settings with another number follow the folder."""
    run(output, wanted("ada"))

    assert Store.open(output, buckets=64).num_buckets == BUCKETS


@pytest.mark.parametrize(
    ("bounds", "distance", "message"),
    [
        (VERSIONS, 1, "newer personalm \\({what} {found}, this one knows {known}\\)\n  Update"),
        (OLDEST, -1, "older personalm \\({what} {found}, this one writes {known}\\)\n  Export"),
    ],
)
def test_another_version_is_refused(
    output: Path, bounds: dict[str, int], distance: int, message: str
) -> None:
    """Neither the folder nor a record of a version not known is read, or written to, by guess."""
    run(output, wanted("ada"))
    for name in ("_personalm.json", "_snapshots/00000001.json"):
        path = output / name
        right = path.read_bytes()
        for what, known in VERSIONS.items():
            found = bounds[what] + distance
            path.write_text(json.dumps(json.loads(right) | {what: found}))
            expected = message.format(what=what, found=found, known=known)
            with pytest.raises(StoreError, match=expected):
                read_table(output)
            with pytest.raises(StoreError, match=expected):
                run(output, wanted("bo"))
        path.write_bytes(right)
    assert read_view(output) == table_of(wanted("ada"))


def test_a_damaged_live_file_stops_a_run_before_it_plans(output: Path) -> None:
    """What cannot be trusted is neither built upon nor carried over."""
    snapshot = run(output, wanted(*USERS))
    assert snapshot is not None
    for file in snapshot.files_of("results"):
        path = output / file.path
        path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(StoreDamagedError):
        run(output, wanted(*USERS, version="v2"))
    assert verify(output)


def test_a_run_needs_the_lock(output: Path) -> None:
    """Starting and publishing are for the one who holds the folder."""
    store = Store.open(output, buckets=BUCKETS)
    with pytest.raises(StoreError, match="not locked"):
        store.start_run("m1")


def test_looking_for_an_output_folder_writes_nothing(output: Path) -> None:
    """`find` tells a folder of ours from any other."""
    assert Store.find(output) is None
    assert not output.exists()
    run(output, {})
    found = Store.find(output)

    assert found is not None
    assert found.num_buckets == BUCKETS


IDS = (
    "../x",
    "",
    ".",
    "..",
    "CON",
    "a/b",
    "/etc/passwd",
    "x\0y",
    "a\nb",
    "é",
    "e\u0301",
    "z" * 300,
)


def test_ids_never_become_names(output: Path) -> None:
    """Whatever a user or a subject is called, file names are numbers, hex and our own words."""
    requests = {key_of(user, subject): "v1" for user in IDS for subject in IDS}
    before = sorted(output.parent.rglob("*"))
    run(output, requests)

    assert read_view(output) == read_latest(output) == table_of(requests)
    assert before == []
    assert [p.name for p in output.parent.iterdir()] == ["out"]
    names = {path.name for path in output.rglob("*")}
    assert not names & set(IDS)
    assert all(name.isascii() and name.replace("-", "").replace("_", "") for name in names)


def test_logs_and_errors_name_no_user(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ids and texts are nobody's business but the tables'."""
    canary = "canary-user"
    caplog.set_level(logging.DEBUG)
    store = Store.open(output, buckets=1)
    with store.lock():
        journal = store.start_run("m1")
        key = key_of(canary)
        with pytest.raises(AccountingError) as missing:
            journal.write("u1", [], expected=[key])
        with pytest.raises(AccountingError) as extra:
            journal.write("u1", [outcome_of(key, "v1")] * 2, expected=[key])
        journal.write("u1", [outcome_of(key, "v1")], expected=[key])
        with pytest.raises(AccountingError) as twice:
            store.publish(journal, units={0: ["u1", "u1"]}, withdrawn={}, counts=Counts())

    told = caplog.text + "".join(str(error.value) for error in (missing, extra, twice))
    assert canary not in told
